"""NT-Xent, the loss of SimCLR: find a picture's other view among all views of the batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from graft.errors import RecipeError
from graft.pretraining.pair_loss import in_float32

# Shorter vectors have no direction; the gradient of a vector of zeros is bounded by its inverse.
_SHORTEST = 1e-6


@dataclass(frozen=True)
class NTXent:
    """Normalised temperature-scaled cross-entropy.

    With the 2N views z_1 ... z_2N, s the cosine similarity and j the other view of i,

        l_i = -log( exp(s(z_i, z_j) / t) / sum_{k != i} exp(s(z_i, z_k) / t) ),

    averaged over all i. The 2N - 2 views of other pictures are the negatives, so larger batches
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
            second: Projections of other views of the same pictures, (N, D).
        """
        with in_float32(first, second) as (one, other):
            directions = functional.normalize(torch.cat([one, other]), eps=_SHORTEST)
            views, pictures = len(directions), len(one)
            itself = torch.eye(views, dtype=torch.bool, device=directions.device)
            similarity = directions @ directions.T / self.temperature
            partner = torch.arange(views, device=directions.device).roll(pictures)
            logits = similarity.masked_fill(itself, -torch.inf)
            return {"nt_xent": functional.cross_entropy(logits, partner)}
