"""graft-small: the compact residual network that ships with Graft."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

WIDTHS = (32, 64, 128, 256)
DEPTHS = (1, 1, 2, 1)
CLASSES = 10
"""Of the classifier that a fresh network carries and that transfer takes off again."""


class Block(nn.Module):
    """Two 3x3 convolutions beside a short cut (He et al. 2016, arXiv:1512.03385, figure 2).

    Where it halves the grid, the short cut averages before its 1x1 convolution, so that no pixel is
    skipped (He et al. 2019, arXiv:1812.01187, ResNet-D).

    Args:
        width: Channels that come in.
        out: Channels that go out.
        stride: 1, or 2 to halve the grid.
    """

    def __init__(self, width: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = (
            nn.Identity()
            if stride == 1 and width == out
            else nn.Sequential(
                nn.AvgPool2d(stride, ceil_mode=True),
                nn.Conv2d(width, out, 1, bias=False),
                nn.BatchNorm2d(out),
            )
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, width, H, W) to (N, out, H / stride, W / stride), rounded up."""
        inner = self.relu(self.bn1(self.conv1(images)))
        whole: Tensor = self.relu(self.bn2(self.conv2(inner)) + self.shortcut(images))
        return whole


class GraftSmall(nn.Module):
    """A residual network with four stages, 1.52 million parameters and 448 features.

    Its features are the averages over the grids of the second, third and fourth stage together:
    what lower stages see, such as textures and colours, is often what another task needs, and the
    last stage no longer tells (Hariharan et al. 2015, arXiv:1411.5752, hypercolumns).

    Made for pictures of 64 pixels, on which it takes 83 million multiply-adds; it runs on any size
    from 8 pixels on.

    Args:
        classes: Outputs of its classifier.
        widths: Channels of each stage.
        depths: Blocks of each stage.

    Example:
        >>> GraftSmall()(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        classes: int = CLASSES,
        widths: Sequence[int] = WIDTHS,
        depths: Sequence[int] = DEPTHS,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, 2, padding=1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        )
        stages, width = nn.ModuleList(), widths[0]
        for number, (out, depth) in enumerate(zip(widths, depths, strict=True)):
            blocks = []
            for index in range(depth):
                blocks.append(Block(width, out, 2 if number and not index else 1))
                width = out
            stages.append(nn.Sequential(*blocks))
        self.stages = stages
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(sum(widths[1:]), classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images (N, 3, H, W) to logits (N, classes)."""
        grid = self.stem(images)
        pooled = []
        for stage in self.stages:
            grid = stage(grid)
            pooled.append(self.pool(grid).flatten(1))
        logits: Tensor = self.fc(torch.cat(pooled[1:], 1))
        return logits
