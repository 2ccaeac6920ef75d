"""Finds the layer whose activations say where in an image a network looked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from graft.backbones.norm_layers import find_norm_layers
from graft.backbones.trace import Call, is_spatial, run, trace
from graft.errors import BackboneError

ATTENTION = {"scaled_dot_product_attention", "multi_head_attention_forward", "softmax"}
CHOOSING = {"__getitem__", "select", "narrow"}
"""What picks one token out of many, so that no gradient reaches the others."""


@dataclass(frozen=True)
class GradCamLayer:
    """Where to look.

    Args:
        path: Dotted path of the module whose output is used.
        shape: That output without the batch: (channels, h, w), (h, w, channels) or
            (tokens, channels).
    """

    path: str
    shape: tuple[int, ...]


def find_grad_cam_layer(
    network: nn.Module, image_size: tuple[int, int], channels: int = 3
) -> GradCamLayer:
    """Return the last layer whose output has positions that the features depend on.

    That is the last one before the pooling. Where the features are those of one token (a vision
    transformer's class token), the other tokens are read for the last time by the last attention,
    so that it is the norm before that one: behind it their gradient is zero.

    Args:
        network: A backbone's module, images (N, channels, H, W) to features (N, width).
        image_size: Height and width in pixels.
        channels: Channels per image.

    Raises:
        BackboneError: No layer has an output with positions.

    Source:
        Selvaraju et al., Grad-CAM, https://arxiv.org/abs/1610.02391.

    Example:
        >>> layers = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        >>> find_grad_cam_layer(nn.Sequential(*layers), (9, 9))
        GradCamLayer(path='0', shape=(8, 7, 7))
    """
    seen = trace(network, image_size, channels)
    spatial = [call for call in seen.calls if call.path and _has_positions(call)]
    if not spatial:
        raise BackboneError(
            "No layer of the network has an output with positions.", "Choose another backbone."
        )
    last = max(spatial, key=lambda call: call.end)
    ending = _Ending(seen.network, last.path)
    ending.watch(image_size, channels)
    norms = ending.norms[: ending.before_attention]
    candidates = [norm for norm in norms if norm.shape == last.returned]
    if candidates and ending.poolings and set(ending.poolings) <= CHOOSING:
        return candidates[-1]
    return GradCamLayer(last.path, last.returned)


def _has_positions(call: Call) -> bool:
    return is_spatial(call.returned) and any(True for _ in call.module.parameters())


class _Ending(TorchFunctionMode):
    """Sees how a network ends while it runs.

    Args:
        network: On the meta device.
        last: Path of its last layer with positions.
    """

    def __init__(self, network: nn.Module, last: str) -> None:
        super().__init__()
        self.network = network
        self.last = last
        self.poolings: list[str] = []  # what leaves no positions, behind the last layer
        self.norms: list[GradCamLayer] = []
        self.before_attention = 0  # how many norms ran before the last attention

    def watch(self, image_size: tuple[int, int], channels: int) -> None:
        with ExitStack() as hooks:
            for path, _ in find_norm_layers(self.network):
                norm = self.network.get_submodule(path)
                hooks.callback(norm.register_forward_hook(partial(self.see_norm, path)).remove)
            last = self.network.get_submodule(self.last)
            hooks.callback(last.register_forward_hook(self.see_last).remove)
            with self:
                run(self.network, image_size, channels)

    def see_norm(self, path: str, module: nn.Module, args: Any, output: Tensor) -> None:
        self.norms.append(GradCamLayer(path, tuple(output.shape[1:])))

    def see_last(self, module: nn.Module, args: Any, output: Any) -> None:
        self.poolings.clear()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if name in ATTENTION:
            self.before_attention = len(self.norms)
        if _positions_end(args, result):
            self.poolings.append(name)
        return result


def _positions_end(args: tuple[Any, ...], result: Any) -> bool:
    """Whether an operation took a tensor with positions and returned one without."""
    given = args[0] if args else None
    if not isinstance(given, Tensor) or not isinstance(result, Tensor):
        return False
    return is_spatial(tuple(given.shape[1:])) and not is_spatial(tuple(result.shape[1:]))
