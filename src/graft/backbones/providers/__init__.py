"""Where backbones come from.

A provider is one module with the functions of `Provider`. Those that ship with Graft are in this
folder; a distribution adds its own under the entry point group "graft.backbones":

    [project.entry-points."graft.backbones"]
    mine = "my_package.graft_provider"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from graft.backbones.backbone import Provenance
from graft.errors import BackboneError, nearest
from graft.plugins import BACKBONES

if TYPE_CHECKING:
    from torch import Tensor, nn

    from graft.data.preprocess import Preprocess

DEFAULT = "torchvision"
SHIPPED_WEIGHTS = {"graft-small": "procedural-1"}
"""The architectures whose weights are in the package, and the name of the weights."""

OWNERS = {"graft-small": "graft", "lite0": "lite", "lite1": "lite", "lite2": "lite"}
"""The providers of names that are written without one, other than torchvision's."""


@dataclass(frozen=True)
class ModelInfo:
    """What a provider knows about one model before anything is built or fetched.

    Args:
        name: Canonical name, "provider:architecture".
        architecture: JSON-ready options from which `build` makes the network.
        preprocess: The view of an image that the weights expect.
        provenance: Source of the published weights.
        fetch: Returns the file of the published weights, downloading it if need be; None if
            there are none.
        classes: Returns the names of the published classifier's classes, in the order of its
            logits; None if it has no classifier, or the names are not known.
    """

    name: str
    architecture: dict[str, Any]
    preprocess: Preprocess
    provenance: Provenance
    fetch: Callable[[], Path] | None = None
    classes: Callable[[], Sequence[str]] | None = None


class Provider(Protocol):
    """What a provider's module has to define.

    Where `build` wraps the network of another library, a constant `WRAPPED` names the path of that
    network in it, such as `"model"`, so that a trained one can be given back to the library.
    """

    def names(self) -> Sequence[str]:
        """Return the names of its architectures, without building any."""

    def model_info(
        self, name: str, weights: str | None, image_size: int | None, file: Path | None
    ) -> ModelInfo:
        """Return what is known about one model.

        Args:
            name: One of `names()`, or whatever else the provider understands.
            weights: Published weights by name; None means the provider's choice.
            image_size: Side of the square input in pixels; None means that of the weights.
            file: A local weights file that will be used in place of the published ones.

        Raises:
            BackboneError: The name or the weights are unknown.
        """

    def build(self, architecture: Mapping[str, Any]) -> nn.Module:
        """Return the network, images (N, 3, H, W) to logits (N, classes), with random weights."""

    def adapt(
        self, state: Mapping[str, Tensor], architecture: Mapping[str, Any]
    ) -> dict[str, Tensor]:
        """Return a published state dict in the form that `build`'s network takes."""

    def check(self, name: str, architecture: Mapping[str, Any], preprocess: Preprocess) -> None:
        """Refuse an architecture that `model_info` would not have written.

        It comes from a file that anybody may have edited, and `build` gets it next: every key and
        every value has to be one that `model_info` writes, within limits.

        Args:
            name: What the file calls the model, without the provider.
            architecture: As the file has it.
            preprocess: The view of an image that goes with it.

        Raises:
            ValueError: What is wrong with it, in a few words.
        """


def find_provider(name: str) -> Provider:
    """Return the provider of that name.

    Raises:
        BackboneError: There is none, or its module cannot be imported.

    Example:
        >>> "resnet18" in find_provider("torchvision").names()
        True
    """
    known = available()
    if name not in known:
        raise BackboneError(
            f"'{name}' is not a provider of backbones.",
            f"Nearest: {nearest(name, known)}. Others come with packages that define "
            f"'{BACKBONES.group}'.",
        )
    try:
        return cast("Provider", BACKBONES[name])
    except ImportError as error:
        remedy = (
            f"Install it: pip install 'graftlearn[{name}]'."
            if name in BACKBONES.shipped
            else f"Install what it needs, or choose one of {nearest(name, set(known) - {name})}."
        )
        raise BackboneError(f"The provider '{name}' cannot be used: {error}.", remedy) from error


def available() -> dict[str, str]:
    """Return the module of every provider by its name; shipped ones cannot be replaced.

    Example:
        >>> available()["torchvision"]
        'graft.backbones.providers.torchvision'
    """
    return BACKBONES.entries()


def split_name(name: str) -> tuple[str, str, str | None]:
    """Split "[provider:]architecture[@weights]" into its three parts.

    A folder in Hugging Face format needs no provider, nor do the names of `OWNERS`.

    Example:
        >>> split_name("graft-small"), split_name("lite0")
        (('graft', 'graft-small', None), ('lite', 'lite0', None))
        >>> split_name("resnet50"), split_name("torchvision:resnet50@IMAGENET1K_V1")
        (('torchvision', 'resnet50', None), ('torchvision', 'resnet50', 'IMAGENET1K_V1'))
    """
    if (Path(name) / "config.json").is_file():
        return "hf", name, None
    provider, separator, rest = name.partition(":")
    if not separator:
        provider, rest = OWNERS.get(name.partition("@")[0], DEFAULT), name
    if Path(rest).is_dir():
        return provider, rest, None
    architecture, _, weights = rest.partition("@")
    return provider, architecture, weights or None
