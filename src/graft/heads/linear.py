"""The head of linear probing and of most fine-tuning: dropout and one linear layer."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from graft.heads import HeadRecord, LinearRecord


def linear_layers(sizes: list[tuple[int, int]], seed: int) -> list[nn.Linear]:
    """Return linear layers with weights and biases from U(-1/sqrt(inputs), 1/sqrt(inputs)).

    Args:
        sizes: Inputs and outputs of each layer.
        seed: Of the generator from which all of them are drawn.

    Example:
        >>> first, second = linear_layers([(4, 2), (2, 2)], seed=0)
        >>> bool((first.weight.abs() <= 0.5).all())
        True
    """
    generator = torch.Generator().manual_seed(seed)
    layers = []
    with torch.random.fork_rng(devices=()):
        for inputs, outputs in sizes:
            layer = nn.Linear(inputs, outputs)
            for parameter in layer.parameters():
                nn.init.uniform_(parameter, -(inputs**-0.5), inputs**-0.5, generator=generator)
            layers.append(layer)
    return layers


FRESH = 3**-0.5
"""Length of a class's weight vector in a fresh head: weights are drawn from +-1 / sqrt(width)."""


class LinearHead(nn.Module):
    """Maps features to logits by one linear layer, after dropout.

    The initial weights are drawn from U(-1/sqrt(width), 1/sqrt(width)), as those of `nn.Linear`,
    but from their own generator, so that they do not depend on what was drawn before.

    Args:
        width: Features per image.
        classes: Logits per image.
        dropout: Drop probability of the features in training, 0 for none.
        seed: Of the initial weights.

    Example:
        >>> import torch
        >>> head = LinearHead(1280, 2)
        >>> tuple(head(torch.zeros(5, 1280)).shape)
        (5, 2)
        >>> bool((head.linear.weight == LinearHead(1280, 2).linear.weight).all())
        True
    """

    Record: ClassVar[type[HeadRecord]] = LinearRecord

    def __init__(self, width: int, classes: int, dropout: float = 0.0, *, seed: int = 0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        [self.linear] = linear_layers([(width, classes)], seed)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (N, classes) of features (N, width)."""
        logits: Tensor = self.linear(self.dropout(features))
        return logits

    def shrink(self) -> None:
        """Make the weights no larger than those of a fresh head; the order of the logits stays.

        Weights and biases are scaled alike, so that the longest weight vector of a class has at
        most the length that it has on average in a fresh head. Where features vary little, as on
        images far from those of pre-training, a solved head has weights hundreds of times as
        large: under them each small change of the backbone moves the logits far, and an optimizer
        that moves weights by small steps cannot bring them down.
        """
        with torch.no_grad():
            longest = self.linear.weight.norm(dim=1).max()
            scale = (FRESH / longest).clamp(max=1)
            self.linear.weight.mul_(scale)
            self.linear.bias.mul_(scale)

    def record(self) -> dict[str, Any]:
        """Return what `graft.heads.build_head` needs to build this head again."""
        linear = self.linear
        return {
            "kind": "linear",
            "width": linear.in_features,
            "classes": linear.out_features,
            "dropout": self.dropout.p,
        }

    def __repr__(self) -> str:
        """Return the call that builds this head."""
        options = {key: value for key, value in self.record().items() if key != "kind"}
        return f"LinearHead({', '.join(f'{key}={value}' for key, value in options.items())})"
