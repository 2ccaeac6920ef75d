"""Self-supervised losses between two views: NT-Xent, Barlow Twins, VICReg."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from graft.data.loader import Batch
from graft.errors import RecipeError
from graft.pretraining.views import SECOND
from graft.tasks import Network, Progress


class PairLoss(Protocol):
    """`(first, second) -> named losses`: each a scalar, already weighted; the loss is their sum."""

    def __call__(self, first: Tensor, second: Tensor) -> dict[str, Tensor]:
        """Return the named losses of N images.

        Args:
            first: Projections of one view of each image, (N, D).
            second: Projections of another view of the same images in the same order, (N, D).
        """


@contextmanager
def in_float32(first: Tensor, second: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield both batches in float32, with autocast off: sums over a batch need its precision.

    Args:
        first: Projections, (N, D); float64 stays float64.
        second: Projections, (N, D).

    Raises:
        RecipeError: The shapes differ or are not (N, D), or there is only one image.

    Example:
        >>> half = torch.zeros(4, 8, dtype=torch.bfloat16)
        >>> with in_float32(half, half) as (first, second):
        ...     first.dtype
        torch.float32
        >>> with in_float32(half[:1], half[:1]):
        ...     pass
        Traceback (most recent call last):
        graft.errors.RecipeError: A batch of 1 image has no others to be compared with. Use \
batches of at least 2 images; 64 and more are usual.
    """
    if first.ndim != 2 or first.shape != second.shape:
        raise RecipeError(
            f"Projections of shapes {tuple(first.shape)} and {tuple(second.shape)} were given, "
            "where two of the same shape (N, D) were expected.",
            "Project both views of the same images by the same projector.",
        )
    if len(first) < 2:
        raise RecipeError(
            f"A batch of {len(first)} image has no others to be compared with.",
            "Use batches of at least 2 images; 64 and more are usual.",
        )
    precision = torch.promote_types(first.dtype, torch.float32)
    with torch.autocast(first.device.type, enabled=False):
        yield first.to(precision), second.to(precision)


# Shorter vectors have no direction; the gradient of a vector of zeros is bounded by its inverse.
_SHORTEST = 1e-6


@dataclass(frozen=True)
class NTXent:
    """Normalised temperature-scaled cross-entropy.

    With the 2N views z_1 ... z_2N, s the cosine similarity and j the other view of i,

        l_i = -log( exp(s(z_i, z_j) / t) / sum_{k != i} exp(s(z_i, z_k) / t) ),

    averaged over all i. The 2N - 2 views of other images are the negatives, so larger batches
    make the task harder and the features better. Where all views are equal, the loss is
    log(2N - 1).

    Args:
        temperature: t, above 0; the lower, the more the nearest negatives count. Default 0.5.

    Raises:
        RecipeError: The temperature is not above 0.

    Source:
        Chen et al. 2020, A Simple Framework for Contrastive Learning of Visual Representations,
        arXiv:2002.05709, eq. 1.

    Example:
        >>> collapsed = torch.ones(8, 128)
        >>> round(NTXent()(collapsed, collapsed)["nt_xent"].exp().item())  # 2 * 8 - 1
        15
    """

    temperature: float = 0.5

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise RecipeError(
                f"A temperature of {self.temperature} was given.", "Give one above 0, usually 0.5."
            )

    def __call__(self, first: Tensor, second: Tensor) -> dict[str, Tensor]:
        """Return `{"nt_xent": mean over all views}`.

        Args:
            first: Projections, (N, D) with N of at least 2.
            second: Projections of other views of the same images, (N, D).
        """
        with in_float32(first, second) as (one, other):
            directions = functional.normalize(torch.cat([one, other]), eps=_SHORTEST)
            views, images = len(directions), len(one)
            itself = torch.eye(views, dtype=torch.bool, device=directions.device)
            similarity = directions @ directions.T / self.temperature
            partner = torch.arange(views, device=directions.device).roll(images)
            logits = similarity.masked_fill(itself, -torch.inf)
            return {"nt_xent": functional.cross_entropy(logits, partner)}


@dataclass(frozen=True)
class BarlowTwins:
    """Brings the cross-correlation of two views close to the identity.

    With C the D x D matrix of correlations over the batch, between the dimensions of one view and
    those of the other,

        loss = sum_i (1 - C_ii)^2 + redundancy * sum_{i != j} C_ij^2.

    Each dimension is batch-normalised first, so its scale and offset do not matter. Where all
    images have equal projections, C is zero and the loss is D.

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
            second: Projections of other views of the same images, (N, D).
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


_EPSILON = 1e-4  # the paper's: bounds the slope of the root where nothing varies


@dataclass(frozen=True)
class VICReg:
    """Variance-invariance-covariance regularisation.

    For projections Z and Z' of N images,

        loss = invariance * s(Z, Z') + variance * (v(Z) + v(Z')) + covariance * (c(Z) + c(Z')),

    where s is the mean squared difference, v(Z) = mean_j max(0, 1 - sqrt(Var(Z_j) + 1e-4)) asks
    for a standard deviation of one in each dimension, and c(Z) = sum_{i != j} Cov(Z)_ij^2 / D.
    Nothing compares one image with another, so small batches do.

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
            second: Projections of other views of the same images, (N, D).
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


@dataclass(frozen=True)
class BetweenViews:
    """A loss between the projections of two views, as an objective.

    Args:
        loss: NT-Xent, Barlow Twins, VICReg, or another.
    """

    loss: PairLoss

    streams: ClassVar[tuple[str, ...]] = (SECOND,)
    whole_batch: ClassVar[bool] = True

    def __call__(self, model: Network, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Return the loss's terms; both views go through the network together."""
        first, second = model(torch.cat([batch.inputs, batch.streams[SECOND].inputs])).chunk(2)
        return self.loss(first, second)
