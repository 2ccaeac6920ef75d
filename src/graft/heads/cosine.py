"""A head that compares directions: one prototype per class, and the angle to it."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from graft.heads import CosineRecord, HeadRecord
from graft.heads.linear import linear_layers

SCALE = 10.0


class CosineHead(nn.Module):
    """Maps features to logits by their cosine similarity to a prototype of each class.

    Neither the length of the features nor that of a prototype matters, so classes with few images
    are not at a disadvantage. A learned factor turns cosines, which end at 1, into logits.

    Args:
        width: Features per image.
        classes: Logits per image.
        dropout: Drop probability of the features in training, 0 for none.
        seed: Of the initial prototypes.

    Source:
        Gidaris and Komodakis 2018, arXiv:1804.09458.

    Example:
        >>> head, features = CosineHead(4, 2), torch.tensor([[1.0, 2.0, 3.0, 4.0]])
        >>> torch.allclose(head(features), head(7 * features))
        True
    """

    Record: ClassVar[type[HeadRecord]] = CosineRecord

    def __init__(self, width: int, classes: int, dropout: float = 0.0, *, seed: int = 0) -> None:
        super().__init__()
        [layer] = linear_layers([(width, classes)], seed)
        self.dropout = nn.Dropout(dropout)
        self.prototypes = nn.Parameter(layer.weight.detach())
        self.scale = nn.Parameter(torch.tensor(SCALE))

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (N, classes) of features (N, width)."""
        directions = normalize(self.dropout(features), dim=1)
        return self.scale * linear(directions, normalize(self.prototypes, dim=1))

    def record(self) -> dict[str, Any]:
        """Return what `graft.heads.build_head` needs to build this head again."""
        classes, width = self.prototypes.shape
        return {"kind": "cosine", "width": width, "classes": classes, "dropout": self.dropout.p}
