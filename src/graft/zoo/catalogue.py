"""Facts about pre-trained models, read from a file: nothing is built, fetched or imported."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any, Protocol


class Facts(Protocol):
    """The facts that the rules look at; see `ZooEntry`."""

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
        description: The rule, as a person reads it.
        rule: The rule.
    """

    name: str
    description: str
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
        >>> from graft.zoo.catalogue import find
        >>> purposes_of(find("mobilenet_v3_small")), purposes_of(find("convnext_base"))
        (('prototype', 'edge'), ('accuracy', 'large-data'))
    """
    return tuple(purpose.name for purpose in PURPOSES if purpose.rule(model))


@dataclass(frozen=True)
class ZooEntry:
    """A model of the zoo. A fact that its provider does not publish is None.

    Args:
        name: What `load_backbone` takes, "provider:architecture".
        family: The architecture's family, such as "ResNet".
        weights: The provider's name of the weights.
        parameters: Of the published network, its classifier included.
        image_size: Side of the square input in pixels.
        mean: Mean of each channel that the weights expect, for pixels in 0..1.
        std: Standard deviation of each channel, for pixels in 0..1.
        gflops: Multiply-adds for one image, in billions.
        top1: Published ImageNet-1K accuracy in percent.
        file_mb: Size of the weights file in megabytes.
        licence: SPDX name of the licence.
        url: Where the weights are; "package:" with a path for those in an installed package.
        source: Where the facts come from that `sources` does not name.
        sources: Where single facts come from.

    Example:
        >>> from graft.zoo.catalogue import find
        >>> entry = find("resnet50")
        >>> entry.name, entry.parameters, entry.top1, entry.suits
        ('torchvision:resnet50', 25557032, 80.858, ('balanced',))
    """

    name: str
    family: str
    weights: str
    parameters: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    gflops: float
    top1: float | None
    file_mb: float | None
    licence: str | None
    url: str
    source: str
    sources: Mapping[str, str]

    @property
    def provider(self) -> str:
        """Who supplies the model: "graft", "lite", "torchvision" or "timm"."""
        return self.name.partition(":")[0]

    @property
    def suits(self) -> tuple[str, ...]:
        """What the model suits, by the rules of `purposes`."""
        return purposes_of(self)

    def source_of(self, fact: str) -> str | None:
        """Return where a fact comes from, None if the fact is not known.

        Example:
            >>> from graft.zoo.catalogue import find
            >>> find("resnet18").source_of("top1")
            'https://github.com/pytorch/vision/tree/main/references/classification#resnet'
        """
        return None if getattr(self, fact) is None else self.sources.get(fact, self.source)

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as JSON-ready data, with the source of each known fact."""
        facts = {**asdict(self), "mean": list(self.mean), "std": list(self.std)}
        del facts["source"]
        stated = [name for name in facts if name not in ("name", "family", "sources")]
        sources = {fact: self.source_of(fact) for fact in stated if facts[fact] is not None}
        return {**facts, "provider": self.provider, "suits": list(self.suits), "sources": sources}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ZooEntry:
        """Return the entry that a line of the file of facts describes."""
        facts = {field.name: data[field.name] for field in fields(cls)}
        return cls(**{**facts, "mean": tuple(data["mean"]), "std": tuple(data["std"])})


@cache
def all_entries() -> tuple[ZooEntry, ...]:
    """Return every model of the zoo: provider by provider, family by family.

    Example:
        >>> sum(entry.provider == "torchvision" for entry in all_entries())
        80
    """
    text = files(__package__).joinpath("facts.json").read_text(encoding="utf-8")
    return tuple(ZooEntry.from_dict(facts) for facts in json.loads(text)["models"])


def find(name: str, weights: str | None = None) -> ZooEntry | None:
    """Return the facts of a model, None if the zoo has none.

    Args:
        name: "[provider:]architecture"; without a provider, Graft's own, an EfficientNet-Lite or
            torchvision's.
        weights: If given, the weights that the facts have to be about.

    Example:
        >>> find("resnet18") == find("torchvision:resnet18", "IMAGENET1K_V1")
        True
        >>> find("resnet18", "MINE") is None
        True
    """
    owners = ("graft", "lite", "torchvision")
    wanted = (name,) if ":" in name else tuple(f"{owner}:{name}" for owner in owners)
    for entry in all_entries():
        if entry.name in wanted and weights in (None, entry.weights):
            return entry
    return None
