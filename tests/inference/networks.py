"""Small networks that use BatchNorm in every way that matters."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from torchvision.ops import FrozenBatchNorm2d

from graft.inference.pairs import is_normalisation

WIDTH = 4


def randomise(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give every normalisation numbers as training would leave them."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if not is_normalisation(module):
            continue
        module.running_mean.normal_(0, 0.3, generator=generator)
        module.running_var.uniform_(0.3, 2, generator=generator)
        if getattr(module, "weight", None) is not None:
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.3, generator=generator)
    return network


def conv(width: int = WIDTH, **options: object) -> nn.Conv2d:
    return nn.Conv2d(WIDTH, width, 3, padding=1, **options)


class NormActivation(nn.BatchNorm2d):
    """A normalisation and an activation in one module, as timm has them."""

    def __init__(self, *, order: tuple[str, str] = ("drop", "act")) -> None:
        super().__init__(WIDTH)
        self.drop, self.act, self.order = nn.Identity(), nn.Hardswish(inplace=True), order

    def forward(self, images: Tensor) -> Tensor:
        images = super().forward(images)
        for name in self.order:
            images = getattr(self, name)(images)
        return images


class ScaledNorm(nn.BatchNorm2d):
    """Does something to its result that none of its parts does."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * 1.5


class DoubledActivation(NormActivation):
    """Does something to what its parts made."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * 2


class Block(nn.Module):
    """Layers by name, and code that uses them.

    Args:
        use: Called with the block and its input.
        layers: What it uses.
    """

    def __init__(self, use: Callable[[Block, Tensor], Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.use = use
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, images: Tensor) -> Tensor:
        # The activation keeps one block's layers from the next one's normalisation.
        return functional.relu(self.use(self, images))


def norm() -> nn.BatchNorm2d:
    return nn.BatchNorm2d(WIDTH, eps=1e-2)


def _added_to(block: Block, images: Tensor) -> Tensor:
    made = block.conv(images)
    made += images
    return block.norm(made)


def _used_twice(block: Block, images: Tensor) -> Tensor:
    made = block.conv(images)
    return block.norm(made) + made


def _weight_used(block: Block, images: Tensor) -> Tensor:
    return block.norm(block.conv(images)) * block.conv.weight.abs().mean()


def _asked_for_shape(block: Block, images: Tensor) -> Tensor:
    made = block.conv(images)
    assert block.conv.weight.dtype == made.dtype
    return block.norm(made).view(made.shape) if made.dim() == 4 else made


def _tied(use: Callable[[Block, Tensor], Tensor]) -> Block:
    layers = (conv(bias=False) for _ in range(2))
    block = Block(use, **dict(zip(("conv", "other"), layers, strict=True)), norm=norm())
    block.other.weight = block.conv.weight
    return block


def _named_twice() -> Block:
    block = Block(lambda b, x: b.alias(b.conv(x)), conv=conv(), norm=norm())
    block.alias = block.norm
    return block


BLOCKS: dict[str, tuple[int, Callable[[], nn.Module]]] = {
    "plain": (1, lambda: Block(lambda b, x: b.norm(b.conv(x)), conv=conv(), norm=norm())),
    "without bias": (
        1,
        lambda: Block(lambda b, x: b.norm(b.conv(x)), conv=conv(bias=False), norm=norm()),
    ),
    "without scale": (
        1,
        lambda: Block(
            lambda b, x: b.norm(b.conv(x)),
            conv=conv(),
            norm=nn.BatchNorm2d(WIDTH, affine=False),
        ),
    ),
    "depthwise": (
        2,
        lambda: nn.Sequential(
            conv(groups=WIDTH, bias=False), norm(), nn.ReLU6(True), conv(), norm(), nn.ReLU(True)
        ),
    ),
    "grouped": (1, lambda: nn.Sequential(conv(groups=2), norm(), nn.ReLU(inplace=True))),
    "padded by reflection": (
        1,
        lambda: nn.Sequential(conv(padding_mode="reflect"), norm(), nn.ReLU()),
    ),
    "residual": (
        2,
        lambda: Block(
            lambda b, x: x + b.last(b.second(functional.relu_(b.norm(b.first(x))))),
            first=conv(),
            norm=norm(),
            second=conv(),
            last=norm(),
        ),
    ),
    "side by side": (
        1,
        lambda: Block(
            lambda b, x: torch.cat([b.norm(b.conv(x))[:, :2], b.other(x)[:, :2]], 1),
            conv=conv(),
            norm=norm(),
            other=conv(),
        ),
    ),
    "with activation": (1, lambda: nn.Sequential(conv(), NormActivation())),
    "frozen": (1, lambda: nn.Sequential(conv(), FrozenBatchNorm2d(WIDTH), nn.ReLU())),
    "called as a function": (
        1,
        lambda: Block(
            lambda b, x: b.norm(functional.conv2d(x, b.conv.weight, b.conv.bias, padding=1)),
            conv=conv(),
            norm=norm(),
        ),
    ),
    "asked for its shape": (1, lambda: Block(_asked_for_shape, conv=conv(), norm=norm())),
    "norm first": (0, lambda: nn.Sequential(norm(), nn.ReLU(), conv(), nn.ReLU())),
    "layer run twice": (
        0,
        lambda: Block(
            lambda b, x: b.second(b.conv(functional.relu(b.first(b.conv(x))))),
            conv=conv(),
            first=norm(),
            second=norm(),
        ),
    ),
    "norm run twice": (
        0,
        lambda: Block(
            lambda b, x: b.norm(b.first(x)) + b.norm(b.second(x)),
            first=conv(),
            second=conv(),
            norm=norm(),
        ),
    ),
    "output used twice": (0, lambda: Block(_used_twice, conv=conv(), norm=norm())),
    "output changed": (0, lambda: Block(_added_to, conv=conv(), norm=norm())),
    "weight used elsewhere": (0, lambda: Block(_weight_used, conv=conv(), norm=norm())),
    "weight of two layers": (0, lambda: _tied(lambda b, x: b.norm(b.conv(x)) + b.other(x))),
    "weight of an idle layer": (0, lambda: _tied(lambda b, x: b.norm(b.conv(x)))),
    "norm of two names": (0, _named_twice),
    "called without its bias": (
        0,
        lambda: Block(
            lambda b, x: b.norm(functional.conv2d(x, b.conv.weight, padding=1)),
            conv=conv(),
            norm=norm(),
        ),
    ),
    "more than norm and parts": (0, lambda: nn.Sequential(conv(), DoubledActivation())),
    "weight computed": (
        0,
        lambda: nn.Sequential(parametrizations.weight_norm(conv()), norm(), nn.ReLU()),
    ),
    "more than a norm": (0, lambda: nn.Sequential(conv(), ScaledNorm(WIDTH), nn.ReLU())),
    "statistics of the batch": (
        0,
        lambda: nn.Sequential(conv(), nn.BatchNorm2d(WIDTH, track_running_stats=False), nn.ReLU()),
    ),
}
"""How many normalisations can be folded in a block, and how to make it."""


def build(blocks: list[str], seed: int = 0) -> tuple[nn.Module, int]:
    """Return a network of blocks from images (N, 4, H, W), and how much of it can be folded."""
    torch.manual_seed(seed)
    network = nn.Sequential(*(BLOCKS[name][1]() for name in blocks))
    return randomise(network, seed), sum(BLOCKS[name][0] for name in blocks)
