"""The backbone that ships with Graft, its weights included: it needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from graft.backbones.backbone import Provenance
from graft.backbones.graft_small import GraftSmall
from graft.backbones.providers import SHIPPED_WEIGHTS, Offer
from graft.data.preprocess import Preprocess
from graft.errors import BackboneError, nearest
from graft.structured import canonical, shown

NATIVE = 64
"""Side in pixels of the pictures that the weights were trained on."""


def names() -> Sequence[str]:
    """Return the names of the shipped networks."""
    return tuple(SHIPPED_WEIGHTS)


def offer(name: str, weights: str | None, image_size: int | None, file: Path | None) -> Offer:
    """Return what is known about a shipped network; see `Provider.offer`.

    Example:
        >>> found = offer("graft-small", None, None, None)
        >>> found.name, found.preprocess.image_size, found.provenance.licence
        ('graft:graft-small', (64, 64), 'Apache-2.0')
    """
    if name not in names():
        raise BackboneError(
            f"Graft ships no backbone '{name}'.", f"Nearest: {nearest(name, names())}."
        )
    published = SHIPPED_WEIGHTS[name]
    if weights not in (None, published):
        raise BackboneError(f"'{name}' has no weights '{weights}'.", f"It has {published}.")
    return Offer(
        name=f"graft:{name}",
        architecture={"name": name},
        preprocess=Preprocess(image_size or NATIVE),
        provenance=Provenance(
            provider="graft", weights=published, source=weights_file().name, licence="Apache-2.0"
        ),
        fetch=weights_file,
    )


def build(architecture: Mapping[str, Any]) -> nn.Module:
    """Return the network with random weights; see `Provider.build`."""
    return GraftSmall()


def adapt(state: Mapping[str, Tensor], architecture: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the shipped tensors as they are; they are stored in half precision."""
    return dict(state)


def check(name: str, architecture: Mapping[str, Any], preprocess: Preprocess) -> None:
    """Refuse what `offer` does not write; see `Provider.check`."""
    if name not in names() or canonical(architecture) != canonical({"name": name}):
        raise ValueError(f"{shown(architecture)} is no network that ships with Graft")


def weights_file() -> Path:
    """Return the shipped file, float16 tensors in safetensors' format."""
    return Path(str(files("graft.backbones").joinpath("graft_small.safetensors")))
