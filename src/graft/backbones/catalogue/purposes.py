"""What a model suits, as rules over its facts.

The rules judge cost by what one image costs and accuracy by what is published. A model whose
accuracy is not published suits nothing that asks for accuracy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Facts(Protocol):
    """The facts that the rules look at; see `Entry`."""

    @property
    def parameters(self) -> int:
        """Parameters of the published network."""

    @property
    def gflops(self) -> float:
        """Multiply-adds for one image, in billions."""

    @property
    def top1(self) -> float | None:
        """Published ImageNet-1K accuracy in percent."""


@dataclass(frozen=True)
class Purpose:
    """A use, and which models suit it.

    Args:
        name: The user's word.
        words: The rule, as a person reads it.
        rule: The rule.
    """

    name: str
    words: str
    rule: Callable[[Facts], bool]


PURPOSES = (
    Purpose(
        "prototype",
        "quick to try anywhere: at most 30 M parameters and 2.5 GFLOPs",
        lambda model: model.parameters <= 30e6 and model.gflops <= 2.5,
    ),
    Purpose(
        "edge",
        "runs on phones and small boards: at most 10 M parameters and 1 GFLOPs",
        lambda model: model.parameters <= 10e6 and model.gflops <= 1,
    ),
    Purpose(
        "balanced",
        "much accuracy for its cost: top-1 of 78 % or more, at most 60 M parameters and 10 GFLOPs",
        lambda model: (model.top1 or 0) >= 78 and model.parameters <= 60e6 and model.gflops <= 10,
    ),
    Purpose(
        "accuracy",
        "among the most accurate: top-1 of 83 % or more",
        lambda model: (model.top1 or 0) >= 83,
    ),
    Purpose(
        "large-data",
        "room to learn from more than 10,000 images: at least 80 M parameters, and no published "
        "top-1 below 80 %",
        lambda model: model.parameters >= 80e6 and (model.top1 or 100) >= 80,
    ),
)


def purposes_of(model: Facts) -> tuple[str, ...]:
    """Return the names of the purposes that a model suits.

    Example:
        >>> from graft.backbones.catalogue.facts import find
        >>> purposes_of(find("mobilenet_v3_small")), purposes_of(find("convnext_base"))
        (('prototype', 'edge'), ('accuracy', 'large-data'))
    """
    return tuple(purpose.name for purpose in PURPOSES if purpose.rule(model))
