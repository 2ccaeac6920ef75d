"""Graft's own small network, which ships with the package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from graft.backbones.backbone import Provenance
from graft.backbones.providers import SHIPPED_WEIGHTS, ModelInfo
from graft.data.preprocess import Preprocess
from graft.errors import BackboneError, nearest
from graft.structured import canonical, shown

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
    last stage no longer represents (Hariharan et al. 2015, arXiv:1411.5752, hypercolumns).

    Made for images of 64 pixels, on which it takes 83 million multiply-adds; it runs on any size
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


NATIVE = 64
"""Side in pixels of the images that the weights were trained on."""


def names() -> Sequence[str]:
    """Return the names of the shipped networks."""
    return tuple(SHIPPED_WEIGHTS)


def model_info(
    name: str, weights: str | None, image_size: int | None, file: Path | None
) -> ModelInfo:
    """Return what is known about a shipped network; see `Provider.model_info`.

    Example:
        >>> found = model_info("graft-small", None, None, None)
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
    return ModelInfo(
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
    """Refuse what `model_info` does not write; see `Provider.check`."""
    if name not in names() or canonical(architecture) != canonical({"name": name}):
        raise ValueError(f"{shown(architecture)} is no network that ships with Graft")


def weights_file() -> Path:
    """Return the shipped file, float16 tensors in safetensors' format."""
    return Path(str(files("graft.backbones").joinpath("graft_small.safetensors")))
