"""What self-supervised losses share: two batches of projections in, named losses out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor

from graft.errors import RecipeError


class PairLoss(Protocol):
    """`(first, second) -> named losses`: each a scalar, already weighted; the loss is their sum."""

    def __call__(self, first: Tensor, second: Tensor) -> dict[str, Tensor]:
        """Return the named losses of N pictures.

        Args:
            first: Projections of one view of each picture, (N, D).
            second: Projections of another view of the same pictures in the same order, (N, D).
        """


@contextmanager
def in_float32(first: Tensor, second: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield both batches in float32, with autocast off: sums over a batch need its precision.

    Args:
        first: Projections, (N, D); float64 stays float64.
        second: Projections, (N, D).

    Raises:
        RecipeError: The shapes differ or are not (N, D), or there is only one picture.

    Example:
        >>> half = torch.zeros(4, 8, dtype=torch.bfloat16)
        >>> with in_float32(half, half) as (first, second):
        ...     first.dtype
        torch.float32
        >>> with in_float32(half[:1], half[:1]):
        ...     pass
        Traceback (most recent call last):
        graft.errors.RecipeError: A batch of 1 picture has nothing to be told apart from. Use \
batches of at least 2 pictures; 64 and more are usual.
    """
    if first.ndim != 2 or first.shape != second.shape:
        raise RecipeError(
            f"Projections of shapes {tuple(first.shape)} and {tuple(second.shape)} were given, "
            "where two of the same shape (N, D) were expected.",
            "Project both views of the same pictures by the same projector.",
        )
    if len(first) < 2:
        raise RecipeError(
            f"A batch of {len(first)} picture has nothing to be told apart from.",
            "Use batches of at least 2 pictures; 64 and more are usual.",
        )
    precision = torch.promote_types(first.dtype, torch.float32)
    with torch.autocast(first.device.type, enabled=False):
        yield first.to(precision), second.to(precision)
