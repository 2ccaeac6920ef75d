"""The head of linear probing and of most fine-tuning: dropout and one linear layer."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from graft.heads.initial import linear_layers


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

    def __init__(self, width: int, classes: int, dropout: float = 0.0, *, seed: int = 0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        [self.linear] = linear_layers([(width, classes)], seed)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (N, classes) of features (N, width)."""
        logits: Tensor = self.linear(self.dropout(features))
        return logits

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
