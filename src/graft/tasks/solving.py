"""What a head is solved from, on as many augmented views as lower its cross-validated loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from graft.config import TrainingOptions
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


@dataclass(frozen=True)
class FrozenFeatures:
    """Features of a frozen backbone, from which a head is solved.

    Args:
        train: Features (N, width) and targets of the clean training images.
        val: The same of the validation images, for the record alone: nothing is fitted to them.
        view: Gives the features (N, width) of an augmented view of the training images, from 1;
            asked for one after the other, and only for what is tried.
        views: Augmented views to try at most; 0 tries none.
        options: Class weights.
        seed: Of the folds.
    """

    train: Outputs
    val: Outputs
    view: Callable[[int], Tensor]
    views: int
    options: TrainingOptions
    seed: int

    @property
    def balanced(self) -> bool:
        """Whether each class is to have the same weight."""
        return self.options.class_weights == "balanced"

    def fit(self, fit: Fit) -> tuple[Solution, int]:
        """Fit a head on clean views, then on twice as many augmented ones while that helps.

        What helps is what lowers the cross-validated loss on the clean views of images of which no
        view was seen. Views of one image share its weight and its fold.

        Args:
            fit: Fits a head to features and targets.

        Returns:
            The solution, and the number of augmented views that it was fitted on.
        """
        targets = self.train.targets
        best, used = fit(self.train.values, targets), 0
        views, count = [self.train.values], 1
        while used < self.views and best.scores:
            count = min(count, self.views)
            while len(views) <= count:
                views.append(self.view(len(views)))
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
