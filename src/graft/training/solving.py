"""A head solved on as many augmented views as cross-validation says that it gains from.

And what is worth knowing of it: how it was chosen, and what would have been had without learning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from graft.evaluation.metrics import accuracy
from graft.heads.baselines import knn, prototypes
from graft.heads.solve import Solution, solve
from graft.inference import Outputs

NEIGHBOURS = 10
"""Training images that vote on a validation image."""

NEIGHBOURS_AMONG = 1000
"""Among more training images, to find them would take more than a twentieth of the solve's time."""


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


def describe(solution: Solution, train: Outputs, val: Outputs) -> dict[str, Any]:
    """Say how a head was chosen, and how right one is that learns nothing on the same features.

    Args:
        solution: The head.
        train: Features of the clean training images.
        val: Features of the validation images.

    Returns:
        JSON-ready: "strength" (the inverse L2 strength C), "at_edge" (whether it is the first or
        the last of those offered), "tried" (how many strengths were), "folds" and "images" (by
        which it was chosen; 0 where there was nothing to choose by), "loss" (cross-validated, in
        nats per image, or None), "temperature" (by which the logits were divided), "prototypes"
        and "knn": the validation accuracy of the nearest class mean and of the 10 nearest training
        images' vote, the latter None where there are more than 1,000 of them.
    """
    features, labels = train.values.numpy(), train.labels.numpy()
    asked, classes = val.values.numpy(), len(solution.bias)
    votes = None
    if len(features) <= NEIGHBOURS_AMONG:
        votes = knn(features, labels, asked, classes, k=NEIGHBOURS)
    means = prototypes(features, labels, asked, classes)
    return {
        "strength": solution.strength,
        "at_edge": solution.at_edge,
        "tried": len(solution.scores),
        "folds": solution.folds,
        "images": solution.images,
        "loss": solution.scores.get(solution.strength),
        "temperature": solution.temperature,
        "prototypes": accuracy(torch.from_numpy(means), val.labels),
        "knn": None if votes is None else accuracy(torch.from_numpy(votes), val.labels),
    }
