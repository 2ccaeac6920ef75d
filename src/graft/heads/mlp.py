"""A head with hidden layers, for features that a linear layer does not separate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from graft.heads import HeadRecord, MLPRecord
from graft.heads.linear import linear_layers

ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
NORMALIZATIONS: Mapping[str, type[nn.Module]] = {
    "none": nn.Identity,
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
}


class MLPHead(nn.Module):
    """Maps features to logits by hidden layers and a linear one.

    A hidden layer is linear, normalisation, activation, dropout, in this order.

    Args:
        width: Features per image.
        classes: Logits per image.
        hidden: Width of each hidden layer.
        activation: "relu", "gelu", "silu" or "tanh".
        normalization: "none", "batch" or "layer".
        dropout: Drop probability after each activation, 0 for none.
        seed: Of the initial weights.

    Raises:
        ValueError: There is no hidden layer, or one without width.
        KeyError: The activation or the normalisation is unknown.

    Example:
        >>> import torch
        >>> head = MLPHead(1280, 2, (512, 64), normalization="batch", dropout=0.3)
        >>> tuple(head(torch.zeros(5, 1280)).shape)
        (5, 2)
    """

    Record: ClassVar[type[HeadRecord]] = MLPRecord

    def __init__(
        self,
        width: int,
        classes: int,
        hidden: Sequence[int] = (256,),
        activation: str = "relu",
        normalization: str = "none",
        dropout: float = 0.0,
        *,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not hidden or min(hidden) < 1:
            raise ValueError(f"an MLP head needs hidden layers, not {tuple(hidden)}")
        self._record = {
            "kind": "mlp",
            "width": width,
            "classes": classes,
            "hidden": list(hidden),
            "activation": activation,
            "normalization": normalization,
            "dropout": dropout,
        }
        inputs, outputs = [width, *hidden], [*hidden, classes]
        *linear, last = linear_layers(list(zip(inputs, outputs, strict=True)), seed)
        normalize, activate = NORMALIZATIONS[normalization], ACTIVATIONS[activation]
        hidden_layers = (
            nn.Sequential(layer, normalize(layer.out_features), activate(), nn.Dropout(dropout))
            for layer in linear
        )
        self.layers = nn.Sequential(*hidden_layers, last)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (N, classes) of features (N, width)."""
        logits: Tensor = self.layers(features)
        return logits

    def record(self) -> dict[str, Any]:
        """Return what `graft.heads.build_head` needs to build this head again."""
        return dict(self._record)
