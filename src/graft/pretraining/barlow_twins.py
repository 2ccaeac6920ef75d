"""Barlow Twins: two views agree in every dimension, and no two dimensions say the same."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from graft.errors import RecipeError
from graft.pretraining.pair_loss import in_float32


@dataclass(frozen=True)
class BarlowTwins:
    """Brings the cross-correlation of two views close to the identity.

    With C the D x D matrix of correlations over the batch, between the dimensions of one view and
    those of the other,

        loss = sum_i (1 - C_ii)^2 + redundancy * sum_{i != j} C_ij^2.

    Each dimension is batch-normalised first, so its scale and offset do not matter. Where all
    pictures have equal projections, C is zero and the loss is D.

    Args:
        redundancy: Weight of the entries off the diagonal, lambda in the paper. Default 0.005.

    Raises:
        RecipeError: The weight is negative.

    Source:
        Zbontar et al. 2021, Barlow Twins: Self-Supervised Learning via Redundancy Reduction,
        arXiv:2103.03230, eq. 1 and 2.

    Example:
        >>> import torch
        >>> collapsed = torch.ones(8, 128)
        >>> losses = BarlowTwins()(collapsed, collapsed)
        >>> losses["invariance"].item(), losses["redundancy"].item()
        (128.0, 0.0)
    """

    redundancy: float = 0.005

    def __post_init__(self) -> None:
        if not self.redundancy >= 0:
            raise RecipeError(
                f"A redundancy weight of {self.redundancy} was given.",
                "Give 0 or more, usually 0.005.",
            )

    def __call__(self, first: Tensor, second: Tensor) -> dict[str, Tensor]:
        """Return `{"invariance": ..., "redundancy": ...}`, the latter weighted.

        Args:
            first: Projections, (N, D) with N of at least 2.
            second: Projections of other views of the same pictures, (N, D).
        """
        with in_float32(first, second) as (one, other):
            correlation = _normalized(one).T @ _normalized(other) / len(one)
            agreement = correlation.diagonal()
            squares = correlation.square()
            off_diagonal = squares - squares.diagonal().diag()
            return {
                "invariance": (1 - agreement).square().sum(),
                "redundancy": self.redundancy * off_diagonal.sum(),
            }


def _normalized(projections: Tensor) -> Tensor:
    return functional.batch_norm(projections, None, None, training=True)
