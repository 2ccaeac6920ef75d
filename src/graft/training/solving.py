"""A head solved on as many augmented views as cross-validation says that it gains from."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from graft.heads.solve import Solution, solve


def solve_with_views(
    clean: Tensor,
    labels: Tensor,
    classes: int,
    view: Callable[[int], Tensor],
    most: int,
    *,
    seed: int = 0,
    balanced: bool = False,
) -> tuple[Solution, int]:
    """Solve a head on clean views, then on twice as many augmented ones while that helps.

    What helps is what lowers the cross-validated loss on the clean views of images of which no
    view was seen. Views of one image share its weight and its fold.

    Args:
        clean: Features (N, width) of the clean views.
        labels: Shape (N,).
        classes: Number of classes.
        view: Gives the features (N, width) of an augmented view, from 1; asked for one after the
            other, and only for what is tried.
        most: Augmented views to try at most; 0 tries none.
        seed: Of the folds.
        balanced: Weigh classes by their inverse frequency.

    Returns:
        The solution, and the number of augmented views that it was fitted on.
    """
    best, used = solve(clean, labels, classes, seed=seed, balanced=balanced), 0
    rows, count = [clean], 1
    while used < most and best.scores:
        count = min(count, most)
        while len(rows) <= count:
            rows.append(view(len(rows)))
        tried = solve(
            torch.cat(rows),
            labels.repeat(len(rows)),
            classes,
            seed=seed,
            balanced=balanced,
            groups=torch.arange(len(labels)).repeat(len(rows)),
            clean=torch.arange(len(rows)).repeat_interleave(len(labels)) == 0,
        )
        if tried.scores[tried.strength] >= best.scores[best.strength]:
            break
        best, used, count = tried, count, count * 2
    return best, used
