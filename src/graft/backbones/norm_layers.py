"""Which layers of a network normalise activations."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

TORCH_NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm, nn.LocalResponseNorm)


def find_norm_layers(network: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield the path and the kind (class name) of every normalisation layer.

    Libraries have their own; one counts if it is named a norm and its tensors hold one number per
    channel. Containers of a norm and other layers do not.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
        >>> list(find_norm_layers(network))
        [('1', 'BatchNorm2d')]
    """
    for path, module in network.named_modules():
        if isinstance(module, TORCH_NORMS) or _looks_like_one(module):
            yield path, type(module).__name__


def _looks_like_one(module: nn.Module) -> bool:
    own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    per_channel = own and all(tensor.numel() == max(tensor.shape, default=1) for tensor in own)
    return bool("Norm" in type(module).__name__ and per_channel)
