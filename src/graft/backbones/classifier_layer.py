"""Finds a network's classifier layer and takes it off.

The classifier is the last layer with parameters that runs: a linear layer, or the 1 x 1 convolution
that networks without one use in its place. With it go the dropout directly before it, which belongs
to the head, and an activation after it. Pooling and flattening stay.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from graft.backbones.trace import Call, Trace
from graft.errors import BackboneError

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
