"""VICReg: views agree, every dimension varies, and no two dimensions vary together."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from torch import Tensor
from torch.nn import functional

from graft.errors import RecipeError
from graft.pretraining.pair_loss import in_float32

_EPSILON = 1e-4  # the paper's: bounds the slope of the root where nothing varies


@dataclass(frozen=True)
class VICReg:
    """Variance-invariance-covariance regularisation.

    For projections Z and Z' of N pictures,

        loss = invariance * s(Z, Z') + variance * (v(Z) + v(Z')) + covariance * (c(Z) + c(Z')),

    where s is the mean squared difference, v(Z) = mean_j max(0, 1 - sqrt(Var(Z_j) + 1e-4)) asks
    for a standard deviation of one in each dimension, and c(Z) = sum_{i != j} Cov(Z)_ij^2 / D.
    Nothing compares one picture with another, so small batches do.

    As in the paper's algorithm 1, s is a mean over the dimensions too (eq. 5 has their sum). The
    authors' released code takes half of the variance term: `variance=12.5` repeats that.

    Args:
        invariance: Weight of s, lambda in the paper. Default 25.
        variance: Weight of v, mu in the paper. Without it everything collapses. Default 25.
        covariance: Weight of c, nu in the paper. Default 1.

    Raises:
        RecipeError: A weight is negative.

    Source:
        Bardes et al. 2022, VICReg: Variance-Invariance-Covariance Regularization for
        Self-Supervised Learning, arXiv:2105.04906, eq. 1 to 6.

    Example:
        >>> import torch
        >>> collapsed = torch.ones(8, 128)
        >>> {name: round(loss.item(), 3) for name, loss in VICReg()(collapsed, collapsed).items()}
        {'invariance': 0.0, 'variance': 49.5, 'covariance': 0.0}
    """

    invariance: float = 25.0
    variance: float = 25.0
    covariance: float = 1.0

    def __post_init__(self) -> None:
        if not all(weight >= 0 for weight in astuple(self)):
            raise RecipeError(
                f"{self} has a negative weight.", "Give weights of 0 or more, usually 25, 25, 1."
            )

    def __call__(self, first: Tensor, second: Tensor) -> dict[str, Tensor]:
        """Return `{"invariance": ..., "variance": ..., "covariance": ...}`, each weighted.

        Args:
            first: Projections, (N, D) with N of at least 2.
            second: Projections of other views of the same pictures, (N, D).
        """
        with in_float32(first, second) as (one, other):
            invariance = functional.mse_loss(one, other)
            one, other = one - one.mean(dim=0), other - other.mean(dim=0)
            return {
                "invariance": self.invariance * invariance,
                "variance": self.variance * (_variance(one) + _variance(other)),
                "covariance": self.covariance * (_covariance(one) + _covariance(other)),
            }


def _variance(centred: Tensor) -> Tensor:
    deviation = (centred.var(dim=0) + _EPSILON).sqrt()
    return functional.relu(1 - deviation).mean()


def _covariance(centred: Tensor) -> Tensor:
    count, width = centred.shape
    squares = (centred.T @ centred / (count - 1)).square()
    return (squares - squares.diagonal().diag()).sum() / width
