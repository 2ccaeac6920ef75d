"""What a network consists of: input layers, stages, and a classifier that can be taken off."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

from torch import Tensor, nn

from graft.backbones.backbone import Stage
from graft.backbones.stages import find_shapes, find_stages
from graft.backbones.trace import Call, Trace, run, trace
from graft.data.preprocess import Preprocess
from graft.errors import BackboneError


def find_input_layers(seen: Trace) -> tuple[str, ...]:
    """Return the paths of the convolutions that read the image itself.

    Example:
        >>> from graft.backbones.trace import trace
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 3, 1))
        >>> find_input_layers(trace(network, (4, 4)))
        ('0',)
    """
    images = seen.calls[0].source
    return tuple(
        call.path
        for call in seen.calls
        if call.source == images and isinstance(call.module, nn.Conv2d)
    )


def set_channels(network: nn.Module, layers: Iterable[str], channels: int) -> None:
    """Change the convolutions that read the image, in place.

    Args:
        network: Reads its images by the convolutions at `layers`.
        layers: What `find_input_layers` found.
        channels: Of the images to come.

    Raises:
        BackboneError: The image is read by something else as well.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 1))
        >>> set_channels(network, ["0"], 5)
        >>> network[0].weight.shape
        torch.Size([8, 5, 1, 1])
    """
    convolutions = [(path, network.get_submodule(path)) for path in layers]
    if not convolutions or any(getattr(layer, "groups", 0) != 1 for _, layer in convolutions):
        raise BackboneError(
            f"The network cannot take images of {channels} channels: it does not begin with a "
            "plain convolution.",
            "Choose another backbone.",
        )
    for path, layer in convolutions:
        assert isinstance(layer, nn.Conv2d)
        before = layer.in_channels
        layer.weight = nn.Parameter(convert(layer.weight.detach(), channels))
        layer.in_channels = channels
        parts = path.split(".")
        for length in range(len(parts)):
            module = network.get_submodule(".".join(parts[:length]))
            # Networks of transformers compare the images with a number of their own.
            if getattr(module, "num_channels", None) == before:
                module.num_channels = channels  # type: ignore[assignment]


def convert_state(
    state: Mapping[str, Tensor], layers: Iterable[str], channels: int
) -> dict[str, Tensor]:
    """Return a state dict whose input convolutions take `channels` channels."""
    weights = {f"{path}.weight" for path in layers}
    return {
        name: convert(tensor, channels) if name in weights else tensor
        for name, tensor in state.items()
    }


def convert(weight: Tensor, channels: int) -> Tensor:
    """Return the weight (out, 3, H, W) of a convolution for images of other channels.

    One channel gets the sum over the colours, which is what a grey image gets in colour. More
    take the colours' weights in turn, scaled so that activations keep their size, as timm does.

    Example:
        >>> import torch
        >>> [convert(torch.ones(1, 3, 1, 1), channels).sum().item() for channels in (1, 3, 6)]
        [3.0, 3.0, 3.0]
    """
    given = weight.shape[1]
    if channels == given:
        return weight
    if channels == 1:
        return weight.sum(dim=1, keepdim=True)
    repeated = weight.repeat(1, ceil(channels / given), 1, 1)[:, :channels]
    return repeated * (given / channels)


def with_channels(preprocess: Preprocess, channels: int) -> Preprocess:
    """Return the preprocessing for images of so many channels.

    Example:
        >>> with_channels(Preprocess(32, mean=(0.4, 0.5, 0.6)), 1).mean
        (0.5,)
    """

    def adjust(values: tuple[float, ...]) -> tuple[float, ...]:
        if channels == 1:
            return (sum(values) / len(values),)
        return (values * ceil(channels / len(values)))[:channels]

    mean, std = adjust(preprocess.mean), adjust(preprocess.std)
    return replace(preprocess, channels=channels, mean=mean, std=std)


ACTIVATIONS = nn.ReLU.__module__
DROPOUTS = nn.Dropout.__module__


@dataclass(frozen=True)
class ClassifierLayer:
    """The layer that turns features into logits, and what goes with it.

    Args:
        path: Where it is.
        width: Features it takes per image.
        classes: Logits it gives per image.
        dropout: Drop probability directly before it, 0 if there is none.
        removed: Paths to replace by the identity: the layer, its dropout, its activation.
    """

    path: str
    width: int
    classes: int
    dropout: float
    removed: tuple[str, ...]


def find_classifier(seen: Trace) -> ClassifierLayer:
    """Return the classifier layer of a traced network.

    Raises:
        BackboneError: The last layer that runs is neither linear nor a 1 x 1 convolution.

    Example:
        >>> from graft.backbones.trace import trace
        >>> network = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(12, 5), nn.ReLU())
        >>> find_classifier(trace(network, (2, 2)))
        ClassifierLayer(path='2', width=12, classes=5, dropout=0.2, removed=('2', '1', '3'))
    """
    uses = [use for use in seen.uses if use.tensors]
    if not uses:
        raise BackboneError("The network has no layer with parameters.", "Choose another backbone.")
    layer = uses[-1].stack[-1]
    width, classes = _size(layer)
    earlier = max((use.time for use in uses if use.time < layer.start), default=0)
    before = [call for call in _leaves(seen) if earlier < call.start < layer.start]
    after = [call for call in _leaves(seen) if call.start > layer.start]
    dropouts = [call for call in before if type(call.module).__module__ == DROPOUTS]
    activations = [call for call in after if type(call.module).__module__ == ACTIVATIONS]
    return ClassifierLayer(
        path=layer.path,
        width=width,
        classes=classes,
        dropout=max((float(getattr(call.module, "p", 0)) for call in dropouts), default=0.0),
        removed=tuple(call.path for call in (layer, *dropouts, *activations)),
    )


def remove(network: nn.Module, paths: Iterable[str]) -> None:
    """Replace the layers at `paths` by the identity, in place.

    Example:
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
        >>> remove(network, ["1"])
        >>> network
        Sequential(
          (0): Flatten(start_dim=1, end_dim=-1)
          (1): Identity()
        )
    """
    for path in paths:
        network.set_submodule(path, nn.Identity())


def with_classifier(
    body: nn.Module, original: nn.Module, removed: Sequence[str], weight: Tensor, bias: Tensor
) -> nn.Module:
    """Return a copy of a backbone that has a classifier layer again, where it had one.

    An activation behind the layer, as SqueezeNet has one, stays away: outputs are logits.

    Args:
        body: Images to features.
        original: The same network before its layers were removed; its tensors need no values.
        removed: Paths of the layers that were, the classifier first.
        weight: Of the new layer, shape (outputs, width).
        bias: Of the new layer, shape (outputs,).

    Example:
        >>> import torch
        >>> original = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(12, 5))
        >>> body = nn.Sequential(nn.Flatten(), nn.Identity(), nn.Identity())
        >>> with_classifier(body, original, ["2", "1"], torch.zeros(3, 12), torch.zeros(3))
        Sequential(
          (0): Flatten(start_dim=1, end_dim=-1)
          (1): Dropout(p=0.2, inplace=False)
          (2): Linear(in_features=12, out_features=3, bias=True)
        )
    """
    network = copy.deepcopy(body)
    taken, (outputs, width) = original.get_submodule(removed[0]), weight.shape
    layer: nn.Linear | nn.Conv2d
    if isinstance(taken, nn.Conv2d):
        before, layer = taken.out_channels, nn.Conv2d(width, outputs, 1)
    else:
        assert isinstance(taken, nn.Linear), "what `find_classifier` finds"
        before, layer = taken.out_features, nn.Linear(width, outputs)
    layer.weight = nn.Parameter(weight.detach().clone().reshape(layer.weight.shape))
    layer.bias = nn.Parameter(bias.detach().clone())
    network.set_submodule(removed[0], layer)
    for path in removed[1:]:
        module = original.get_submodule(path)
        if type(module).__module__ == DROPOUTS:
            network.set_submodule(path, copy.deepcopy(module))
    for module in network.modules():
        # Some networks, and the configurations of transformers, know how many classes they have.
        for owner in (module, getattr(module, "config", None)):
            for name in ("num_classes", "num_labels"):
                if getattr(owner, name, None) == before:
                    setattr(owner, name, outputs)
    return network


def _leaves(seen: Trace) -> list[Call]:
    return [call for call in seen.calls if not any(call.module.children())]


def _size(layer: Call) -> tuple[int, int]:
    """Return the width and the number of classes of the last layer."""
    module = layer.module
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    if isinstance(module, nn.Conv2d) and set(module.kernel_size) == {1} and module.groups == 1:
        return module.in_channels, module.out_channels
    raise BackboneError(
        f"The last layer that runs, '{layer.path}' ({type(module).__name__}), is not a classifier: "
        "a linear layer or a 1 x 1 convolution was expected.",
        "Choose a backbone that was trained to classify images.",
    )


@dataclass(frozen=True)
class Architecture:
    """The parts of a network that classifies images.

    Args:
        classifier: The layer that gives the logits.
        stages: The rest, in execution order.
        input_layers: Paths of the convolutions that read the image.
    """

    classifier: ClassifierLayer
    stages: tuple[Stage, ...]
    input_layers: tuple[str, ...]


def analyze(network: nn.Module, preprocess: Preprocess) -> Architecture:
    """Find the classifier and the stages of a network, which is left as it is.

    The result is checked: without its classifier the network must give one vector per image.

    Args:
        network: Images (N, C, H, W) to logits (N, classes), on any device.
        preprocess: Says what size its images have.

    Raises:
        BackboneError: There is no single classifier layer, or the stages cannot be found.

    Example:
        >>> layers = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, 2), nn.Flatten(), nn.Linear(8, 5)
        >>> parts = analyze(nn.Sequential(*layers), Preprocess(5))
        >>> parts.classifier.path, [stage.modules for stage in parts.stages]
        ('3', [('0',), ('1', '2')])
    """
    seen = _trace(network, preprocess)
    classifier = find_classifier(seen)
    stages = find_stages(seen, classifier.removed)
    _check_features(seen, preprocess, classifier)
    return Architecture(classifier, stages, find_input_layers(seen))


def resize(analysis: Architecture, network: nn.Module, preprocess: Preprocess) -> Architecture:
    """Return the same parts with the shapes they have on images of another size or more channels.

    Stages come from the size that a network was made for, so that they do not depend on the user's.

    Args:
        analysis: What `analyze` found.
        network: The same architecture, for images of the new size.
        preprocess: Says what the new size is.

    Raises:
        BackboneError: The network does not run on images of that size.

    Example:
        >>> layers = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, 2), nn.AdaptiveAvgPool2d(1)
        >>> network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(8, 5))
        >>> analysis = analyze(network, Preprocess(5))
        >>> [stage.shape for stage in resize(analysis, network, Preprocess(13)).stages]
        [(8, 11, 11), (8, 5, 5)]
    """
    seen = _trace(network, preprocess)
    modules = [stage.modules for stage in analysis.stages]
    shapes = find_shapes(seen, modules, analysis.classifier.removed)
    _check_features(seen, preprocess, analysis.classifier)
    stages = zip(analysis.stages, shapes, strict=True)
    return replace(analysis, stages=tuple(replace(stage, shape=shape) for stage, shape in stages))


def _trace(network: nn.Module, preprocess: Preprocess) -> Trace:
    size, channels = (preprocess.height, preprocess.width), preprocess.channels
    try:
        return trace(network, size, channels)
    except Exception as error:  # networks raise assertions and plain errors alike
        raise BackboneError(
            f"The network does not run on images of {size[0]} x {size[1]} pixels with {channels} "
            f"channels: {_first_line(error)}.",
            "Choose another image size or another backbone.",
        ) from error


def _check_features(seen: Trace, preprocess: Preprocess, classifier: ClassifierLayer) -> None:
    """Remove the classifier from the traced copy and return its output then."""
    remove(seen.network, classifier.removed)
    try:
        features = run(seen.network, (preprocess.height, preprocess.width), preprocess.channels)
        alone = isinstance(features, Tensor) and features.shape[1:] == (classifier.width,)
    except Exception:  # the logits of twin classifiers no longer go together, say
        alone = False
    if not alone:
        raise BackboneError(
            f"Without '{classifier.path}' the network does not give {classifier.width} features "
            "per image, so that layer is not its only classifier.",
            "Choose a backbone with one classifier layer.",
        )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
