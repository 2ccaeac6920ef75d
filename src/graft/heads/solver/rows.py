"""Labelled rows to learn from: what each weighs, and which are held out together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graft.heads.solver.lbfgs import Array

FEWEST = 10
"""Groups of a class that a draw leaves, if the class has them."""


@dataclass(frozen=True)
class Rows:
    """Features with their labels and owners.

    Args:
        features: Shape (N, D), finite.
        labels: Shape (N,), 0 to K - 1, each present.
        classes: K.
        groups: Shape (N,), 0 to G - 1, such as the image of which a row is a view. The rows of a
            group share its weight of 1. A group's class is that of its first row.
        clean: Shape (N,), the rows on which a loss may be measured.
        balanced: Whether the classes weigh alike, instead of the groups.
    """

    features: Array
    labels: NDArray[np.intp]
    classes: int
    groups: NDArray[np.intp]
    clean: NDArray[np.bool_]
    balanced: bool

    @property
    def images(self) -> int:
        """G, the number of groups."""
        return int(self.groups.max()) + 1

    def only(self, kept: NDArray[np.intp]) -> Rows:
        """Return some of the rows."""
        _, groups = np.unique(self.groups[kept], return_inverse=True)
        rest = (self.features[kept], self.labels[kept], self.classes)
        return Rows(*rest, groups, self.clean[kept], self.balanced)

    def shares(self, kept: NDArray[np.bool_]) -> Array:
        """Return the share of each kept row in its group, 0 for others, (N,)."""
        counts = np.bincount(self.groups, kept)
        shares: Array = np.where(kept, 1 / np.maximum(counts[self.groups], 1), 0)
        return shares

    def weights(self, kept: NDArray[np.bool_]) -> Array:
        """Return what the kept rows weigh in a loss, 0 for others, (N,).

        Balanced classes weigh alike, and 1 per group on average.
        """
        shares = self.shares(kept)
        if not self.balanced:
            return shares
        totals = np.bincount(self.labels, shares, self.classes)
        present = np.count_nonzero(totals)
        factors = shares.sum() / (present * np.where(totals > 0, totals, 1))
        weights: Array = shares * factors[self.labels]
        return weights

    def folds(self, most: int, seed: int) -> NDArray[np.intp]:
        """Deal the groups into folds, stratified and seeded.

        Every class is shuffled and dealt out in turn, each from where the last one ended, so that
        folds differ by one group at most, in all and in each class. The only group of a class is
        never held out, so that each fold's training rows know every class.

        Returns:
            The fold of each row, (N,); -1 for rows that are never held out. All are -1 where fewer
            than two folds can be filled.
        """
        dealt = [members for members in self._members(seed) if len(members) > 1]
        order = np.concatenate([*dealt, np.zeros(0, np.intp)])
        count = min(most, len(order))
        fold = np.full(self.images, -1)
        if count > 1:
            fold[order] = np.arange(len(order)) % count
        return fold[self.groups]

    def draw(self, images: int, seed: int) -> Rows:
        """Draw about so many groups, every class in proportion, seeded."""
        share = images / self.images
        drawn = np.zeros(self.images, bool)
        for members in self._members(seed):
            drawn[members[: max(FEWEST, round(share * len(members)))]] = True
        return self.only(np.flatnonzero(drawn[self.groups]))

    def _members(self, seed: int) -> list[NDArray[np.intp]]:
        """Return the groups of each class, shuffled."""
        _, first = np.unique(self.groups, return_index=True)
        of_group, rng = self.labels[first], np.random.default_rng(seed)
        return [rng.permutation(np.flatnonzero(of_group == label)) for label in range(self.classes)]
