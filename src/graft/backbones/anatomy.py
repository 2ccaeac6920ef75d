"""What a network consists of: a classifier layer, and stages below it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor, nn

from graft.backbones.backbone import Stage
from graft.backbones.channels import find_input_layers
from graft.backbones.classifier_layer import ClassifierLayer, find_classifier, remove
from graft.backbones.stages import find_shapes, find_stages
from graft.backbones.trace import Trace, run, trace
from graft.data.preprocess import Preprocess
from graft.errors import BackboneError


@dataclass(frozen=True)
class Anatomy:
    """The parts of a network that classifies images.

    Args:
        classifier: The layer that gives the logits.
        stages: The rest, in execution order.
        input_layers: Paths of the convolutions that read the image.
    """

    classifier: ClassifierLayer
    stages: tuple[Stage, ...]
    input_layers: tuple[str, ...]


def dissect(network: nn.Module, preprocess: Preprocess) -> Anatomy:
    """Find the classifier and the stages of a network, which is left as it is.

    The result is checked: without its classifier the network must give one vector per image.

    Args:
        network: Images (N, C, H, W) to logits (N, classes), on any device.
        preprocess: Says what size its images have.

    Raises:
        BackboneError: There is no single classifier layer, or the stages cannot be found.

    Example:
        >>> layers = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, 2), nn.Flatten(), nn.Linear(8, 5)
        >>> parts = dissect(nn.Sequential(*layers), Preprocess(5))
        >>> parts.classifier.path, [stage.modules for stage in parts.stages]
        ('3', [('0',), ('1', '2')])
    """
    seen = _trace(network, preprocess)
    classifier = find_classifier(seen)
    stages = find_stages(seen, classifier.removed)
    _check_features(seen, preprocess, classifier)
    return Anatomy(classifier, stages, find_input_layers(seen))


def resize(anatomy: Anatomy, network: nn.Module, preprocess: Preprocess) -> Anatomy:
    """Return the same parts with the shapes they have on images of another size or more channels.

    Stages come from the size that a network was made for, so that they do not depend on the user's.

    Args:
        anatomy: What `dissect` found.
        network: The same architecture, for images of the new size.
        preprocess: Says what the new size is.

    Raises:
        BackboneError: The network does not run on images of that size.

    Example:
        >>> layers = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, 2), nn.AdaptiveAvgPool2d(1)
        >>> network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(8, 5))
        >>> anatomy = dissect(network, Preprocess(5))
        >>> [stage.shape for stage in resize(anatomy, network, Preprocess(13)).stages]
        [(8, 11, 11), (8, 5, 5)]
    """
    seen = _trace(network, preprocess)
    modules = [stage.modules for stage in anatomy.stages]
    shapes = find_shapes(seen, modules, anatomy.classifier.removed)
    _check_features(seen, preprocess, anatomy.classifier)
    stages = zip(anatomy.stages, shapes, strict=True)
    return replace(anatomy, stages=tuple(replace(stage, shape=shape) for stage, shape in stages))


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
    """Take the classifier off the traced copy and look at what it gives then."""
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
