"""Collapse: do features still vary between images, and in how many directions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from graft.errors import DivergedError, RecipeError

LEAST_STD = 0.1
"""Below this spread, of 1 at most, all images have nearly the same direction."""

LEAST_RANK = 0.02
"""Below this share of the possible rank, few directions carry everything."""

_ADVICE = "lower the learning rate, enlarge the batch, augment more, or weigh the variance more"


@dataclass(frozen=True)
class Collapse:
    """How far the features of a batch are spread, and what that means.

    Args:
        std: Standard deviation of the dimensions of length-one features times sqrt(width): 1 where
            they point everywhere alike, 0 where all point the same way.
        rank: Effective rank: the number of directions that carry the features, 1 to `limit`, or 0
            where all are zero.
        width: Numbers per image.
        images: How many were measured.

    Example:
        >>> Collapse(std=0.01, rank=1.0, width=512, images=256).kind
        'complete'
        >>> Collapse(std=0.8, rank=3.5, width=512, images=256).message
        'Dimensional collapse: the features spread by 0.80 of 1 and their effective rank is 3.5 \
of 256, so few directions carry everything; lower the learning rate, enlarge the batch, augment \
more, or weigh the variance more.'
    """

    std: float
    rank: float
    width: int
    images: int

    @property
    def limit(self) -> int:
        """The largest rank that so many images can have."""
        return min(self.width, self.images)

    @property
    def kind(self) -> str | None:
        """Return "complete", "dimensional", or None where nothing has collapsed."""
        if self.std < LEAST_STD:
            return "complete"
        fewest = max(LEAST_RANK * self.limit, min(2.0, self.limit / 2))
        return "dimensional" if self.rank < fewest else None

    @property
    def collapsed(self) -> bool:
        """Whether the features have collapsed, in either way."""
        return self.kind is not None

    @property
    def message(self) -> str:
        """One sentence with the numbers and, where they are bad, the way out."""
        numbers = (
            f"the features spread by {self.std:.2f} of 1 and their effective rank is "
            f"{self.rank:.1f} of {self.limit}"
        )
        if self.kind == "complete":
            return (
                f"Complete collapse: {numbers}, so all images look nearly the same to the "
                f"network; {_ADVICE}."
            )
        if self.kind == "dimensional":
            return (
                f"Dimensional collapse: {numbers}, so few directions carry everything; {_ADVICE}."
            )
        return f"No collapse: {numbers}."


@torch.no_grad()
def measure_collapse(features: Tensor) -> Collapse:
    """Measure the spread and the effective rank of features or projections.

    The spread is that of SimSiam's figure 2. The effective rank is exp(H(p)), the exponential of
    the entropy of the singular values divided by their sum, of the features as they are, neither
    centred nor scaled. A few hundred images are enough.

    Measure a network that has trained for an epoch, and in eval mode: at the start the features of
    most networks are alike (SqueezeNet's spread by 0.08), and batch normalisation in training mode
    spreads whatever reaches it.

    Args:
        features: Of N images, (N, D) with N of at least 2.

    Raises:
        RecipeError: The shape is another.
        DivergedError: The features are not finite.

    Source:
        Chen & He 2021, Exploring Simple Siamese Representation Learning, arXiv:2011.10566,
        section 4.1; Roy & Vetterli 2007, The effective rank, EUSIPCO; Garrido et al. 2023, RankMe,
        arXiv:2210.02885, eq. 1.

    Example:
        >>> spread = measure_collapse(torch.eye(64))
        >>> round(spread.rank, 2), spread.collapsed
        (64.0, False)
        >>> measure_collapse(torch.ones(64, 64)).kind
        'complete'
    """
    if features.ndim != 2 or len(features) < 2:
        raise RecipeError(
            f"Features of shape {tuple(features.shape)} were given, where (N, D) was expected.",
            "Measure the features of at least 2 images.",
        )
    features = features.detach().float()
    if not features.isfinite().all():
        raise DivergedError("The features are not finite.", "Lower the learning rate.")
    images, width = features.shape
    directions = functional.normalize(features)
    std = directions.std(dim=0, correction=0).mean().item() * width**0.5
    return Collapse(std, _effective_rank(features), width, images)


def _effective_rank(features: Tensor) -> float:
    values = torch.linalg.svdvals(features).double()
    if not values.any():
        return 0.0
    shares = values / values.sum()
    return float(torch.special.entr(shares).sum().exp())
