"""What one image costs: parameters and multiply-adds, counted without weights."""

from __future__ import annotations

from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from graft.backbones.trace import BATCH, run


def count_parameters(network: nn.Module) -> int:
    """Return how many numbers a network learns.

    Example:
        >>> count_parameters(nn.Linear(3, 2))
        8
    """
    return sum(parameter.numel() for parameter in network.parameters())


def count_gflops(network: nn.Module, image_size: tuple[int, int], channels: int = 3) -> float:
    """Return what one image costs in billions of multiply-adds.

    A multiply-add counts once, as in torchvision's tables and in most papers, which call it a
    FLOP. Counted are convolutions and matrix products, those of attention included.

    Args:
        network: Maps images (N, channels, H, W) to anything; on the meta device.
        image_size: Height and width in pixels.
        channels: Channels per image.

    Example:
        >>> layer = nn.Conv2d(3, 8, 3, padding=1).to("meta")
        >>> count_gflops(layer, (100, 100)) == 3 * 8 * 9 * 100 * 100 / 1e9
        True
    """
    with FlopCounterMode(display=False) as counter:
        run(network, image_size, channels)
    return float(counter.get_total_flops() / 2 / BATCH / 1e9)
