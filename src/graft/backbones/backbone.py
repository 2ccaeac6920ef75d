"""A pre-trained backbone and its ordered stages, as data that can be stored and rebuilt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from graft.errors import BackboneError, nearest

if TYPE_CHECKING:
    from torch import Tensor, nn

    from graft.data.preprocess import Preprocess


@dataclass(frozen=True)
class Stage:
    """A named slice of a backbone in execution order.

    The stages of a backbone partition its parameters and buffers.

    Args:
        name: "stem", "stage1", "stage2", ... in execution order.
        modules: Paths of the largest modules that lie wholly in this stage, in execution order;
            those without parameters (activations, dropout, pooling) are among them.
        parameters: Full names of the stage's parameters, in execution order.
        buffers: Full names of its buffers, in execution order.
        shape: What the stage hands to the next one, without the batch dimension; for the last
            stage, what reaches the pooling.

    Example:
        >>> stem = Stage("stem", ("conv1", "bn1"), ("conv1.weight",), (), (64, 112, 112))
        >>> Stage.from_dict(stem.to_dict()) == stem
        True
    """

    name: str
    modules: tuple[str, ...]
    parameters: tuple[str, ...]
    buffers: tuple[str, ...]
    shape: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the stage as JSON-ready data."""
        return {key: value if key == "name" else list(value) for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Stage:
        """Return the stage that `to_dict` described."""
        return cls(
            name=data["name"],
            modules=tuple(data["modules"]),
            parameters=tuple(data["parameters"]),
            buffers=tuple(data["buffers"]),
            shape=tuple(data["shape"]),
        )


@dataclass(frozen=True)
class Provenance:
    """Where a backbone and its weights come from.

    Args:
        provider: Who supplies the architecture, such as "torchvision".
        weights: The published name of the weights; None if unknown or untrained.
        source: The address or the file name that the weights were read from.
        sha256: Hash of that file.
        licence: Licence of the weights, where the provider states it.
        top1: Published ImageNet-1K accuracy in percent.

    Example:
        >>> Provenance("torchvision", "IMAGENET1K_V1").licence is None
        True
    """

    provider: str
    weights: str | None = None
    source: str | None = None
    sha256: str | None = None
    licence: str | None = None
    top1: float | None = None


@dataclass
class Backbone:
    """A backbone whose classifier layer is removed: images in, pooled features out.

    Args:
        name: Canonical name, "provider:architecture".
        module: Maps normalised images (N, channels, H, W) to features (N, width).
        stages: Slices of the module in execution order.
        width: Number of features per image.
        preprocess: The view of an image that the weights were trained on.
        head_dropout: Drop probability that the original classifier applied to the features.
        provenance: Source of the weights.
        architecture: JSON-ready options from which the provider rebuilds the module.
        removed: Paths of the layers replaced by the identity: classifier, its dropout, activation.
        input_layers: Paths of the convolutions that read the image; they follow the number of
            channels.
        original: The network before its layers were removed, without values, where no provider
            builds it.

    Example:
        >>> from graft.backbones.load import load_backbone
        >>> backbone = load_backbone("squeezenet1_1", meta=True)
        >>> [stage.name for stage in backbone.stages], backbone.width
        (['stem', 'stage1', 'stage2', 'stage3'], 512)
        >>> backbone.stages_of("features.3")
        ('stage1',)
    """

    name: str
    module: nn.Module
    stages: tuple[Stage, ...]
    width: int
    preprocess: Preprocess
    head_dropout: float
    provenance: Provenance
    architecture: dict[str, Any]
    removed: tuple[str, ...]
    input_layers: tuple[str, ...] = ()
    original: nn.Module | None = None

    def stage(self, name: str) -> Stage:
        """Return the stage called `name`.

        Raises:
            BackboneError: There is none; the message lists those there are.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        names = [stage.name for stage in self.stages]
        raise BackboneError(
            f"'{self.name}' has no stage '{name}'.",
            f"Its stages are {', '.join(names)}; nearest: {nearest(name, names)}.",
        )

    def stages_of(self, name: str) -> tuple[str, ...]:
        """Return what a name stands for: a stage, "head", or a module of the network.

        Args:
            name: A stage ("stage4"), "head" or the classifier of the network as published ("fc"),
                or the path of a module ("layer4", "features.18"): the stages that lie wholly in it,
                or else those that it lies in, which train or stand still as a whole.

        Returns:
            Names of stages in execution order, or `("head",)`.

        Raises:
            BackboneError: The network has no such part.

        Example:
            >>> from graft.backbones.load import load_backbone
            >>> backbone = load_backbone("resnet18", meta=True)
            >>> backbone.stages_of("layer4"), backbone.stages_of("fc")
            (('stage4',), ('head',))
            >>> backbone.stages_of("layer3.1")
            ('stage3',)
        """
        if name in ("head", *(stage.name for stage in self.stages)):
            return (name,)
        inside = f"{_path(self.module, name)}."
        if any(f"{path}.".startswith(inside) for path in self.removed):
            return ("head",)
        whole, touched = [], []
        for stage in self.stages:
            own = [tensor.startswith(inside) for tensor in stage.parameters]
            if own and all(own):
                whole.append(stage.name)
            if any(own) or any(f"{path}.".startswith(inside) for path in stage.modules):
                touched.append(stage.name)
        found = tuple(whole or touched)
        return found or (self.stage(name).name,)

    def record(self) -> dict[str, Any]:
        """Return everything but the weights as JSON-ready data."""
        return {
            "name": self.name,
            "architecture": self.architecture,
            "removed": list(self.removed),
            "input_layers": list(self.input_layers),
            "stages": [stage.to_dict() for stage in self.stages],
            "width": self.width,
            "preprocess": self.preprocess.to_dict(),
            "head_dropout": self.head_dropout,
            "provenance": asdict(self.provenance),
        }

    @classmethod
    def from_record(
        cls, record: Mapping[str, Any], state: Mapping[str, Tensor] | None = None
    ) -> Backbone:
        """Rebuild a backbone from `record()`, without the network and without tracing.

        Args:
            record: What `record()` returned.
            state: The module's state dict; without it the weights are random.

        Raises:
            BackboneError: The record or the state does not fit this version of the provider.

        Example:
            >>> from graft.backbones.load import load_backbone
            >>> backbone = load_backbone("squeezenet1_1", pretrained=False)
            >>> same = Backbone.from_record(backbone.record(), backbone.module.state_dict())
            >>> same.stages == backbone.stages
            True
        """
        from graft.backbones.load import rebuild

        return rebuild(record, state)

    @classmethod
    def from_module(cls, network: nn.Module, preprocess: Preprocess | None = None) -> Backbone:
        """Make a backbone of a network of your own by tracing it; the network stays as it is.

        Args:
            network: Images (N, channels, H, W) to logits (N, classes), with one classifier layer.
            preprocess: The images that it expects; None means ImageNet's usual ones: 224 x 224
                pixels cut from the middle of 256, with ImageNet's means and deviations.

        Raises:
            BackboneError: There is no single classifier layer, or the stages cannot be found.

        Example:
            >>> import torchvision
            >>> backbone = Backbone.from_module(torchvision.models.resnet18())
            >>> backbone.name, len(backbone.stages), backbone.width
            ('python:ResNet', 5, 512)
        """
        from graft.backbones.load import from_module

        return from_module(network, preprocess)


def _path(network: nn.Module, name: str) -> str:
    """Return the path of a module whose place in a sequence may be given by number.

    The path may leave out what wraps the whole network.
    """
    module, path, parts = network, [], name.split(".")
    while parts:
        children = dict(module.named_children())
        part = parts[0]
        if part not in children and part.isdigit() and int(part) < len(children):
            part = list(children)[int(part)]
        elif part not in children and len(children) == 1:
            part, parts = next(iter(children)), ["", *parts]
        if part not in children:
            return name
        module, parts = children[part], parts[1:]
        path.append(part)
    return ".".join(path)
