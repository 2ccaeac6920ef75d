"""What is known about one pre-trained model before anything of it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from graft.backbones.catalogue.purposes import purposes_of


@dataclass(frozen=True)
class Entry:
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
        url: Where the weights are; "package:" with a path for those that ship with Graft.
        source: Where the facts come from that `sources` does not name.
        sources: Where single facts come from.

    Example:
        >>> from graft.backbones.catalogue.facts import find
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
        """Who supplies the model: "graft", "torchvision" or "timm"."""
        return self.name.partition(":")[0]

    @property
    def suits(self) -> tuple[str, ...]:
        """What the model suits, by the rules of `purposes`."""
        return purposes_of(self)

    def source_of(self, fact: str) -> str | None:
        """Return where a fact comes from, None if the fact is not known.

        Example:
            >>> from graft.backbones.catalogue.facts import find
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
    def from_dict(cls, data: Mapping[str, Any]) -> Entry:
        """Return the entry that a line of the file of facts describes."""
        facts = {field.name: data[field.name] for field in fields(cls)}
        return cls(**{**facts, "mean": tuple(data["mean"]), "std": tuple(data["std"])})
