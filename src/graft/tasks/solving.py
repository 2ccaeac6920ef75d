"""A head fitted on as many augmented views as improve its cross-validated loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from graft.inference import Outputs
from graft.probe.solve import Solution


class Fit(Protocol):
    """Fits a linear head, as `graft.probe.solve.solve` does for classes."""

    def __call__(
        self,
        features: Tensor,
        labels: Tensor,
        *,
        groups: Tensor | None = None,
        clean: Tensor | None = None,
    ) -> Solution:
        """Return the head with the least cross-validated loss.

        Args:
            features: Shape (N, width).
            labels: Targets, shape (N, ...).
            groups: Shape (N,): the image that a row is a view of; its views share a fold and its
                weight. None means one row for each image.
            clean: Shape (N,), bool: the rows on which held-out loss is measured; None means all.
        """


def solve_with_views(
    train: Outputs, view: Callable[[int], Tensor], most: int, fit: Fit
) -> tuple[Solution, int]:
    """Fit a head on clean views, then on twice as many augmented ones while that helps.

    What helps is what lowers the cross-validated loss on the clean views of images of which no
    view was seen. Views of one image share its weight and its fold.

    Args:
        train: Features (N, width) and targets of the clean views.
        view: Gives the features (N, width) of an augmented view, from 1; asked for one after the
            other, and only for what is tried.
        most: Augmented views to try at most; 0 tries none.
        fit: Fits a head to features and targets.

    Returns:
        The solution, and the number of augmented views that it was fitted on.
    """
    targets = train.targets
    best, used = fit(train.values, targets), 0
    views, count = [train.values], 1
    while used < most and best.scores:
        count = min(count, most)
        while len(views) <= count:
            views.append(view(len(views)))
        tried = fit(
            torch.cat(views),
            targets.repeat(len(views), *[1] * (targets.ndim - 1)),
            groups=torch.arange(len(targets)).repeat(len(views)),
            clean=torch.arange(len(views)).repeat_interleave(len(targets)) == 0,
        )
        if tried.scores[tried.C] >= best.scores[best.C]:
            break
        best, used, count = tried, count, count * 2
    return best, used
