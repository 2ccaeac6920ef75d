"""A linear head fitted to convergence on frozen features, instead of by epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graft.heads.linear import LinearHead

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Inverse L2 strengths C among which cross-validation chooses, weakest fit first."""


@dataclass(frozen=True)
class Solution:
    """A solved linear head.

    Args:
        weight: Shape (classes, width), for features as they are: standardisation is folded in.
        bias: Shape (classes,).
        strength: The inverse L2 strength that was chosen.
        scores: Cross-validated loss of each strength tried, in nats per image.
    """

    weight: Tensor
    bias: Tensor
    strength: float
    scores: dict[float, float]

    def install(self, head: LinearHead) -> None:
        """Write the solution into a head."""
        with torch.no_grad():
            head.linear.weight.copy_(self.weight)
            head.linear.bias.copy_(self.bias)


def solve(
    features: Tensor,
    labels: Tensor,
    classes: int,
    *,
    seed: int = 0,
    strengths: Sequence[float] = STRENGTHS,
    folds: int = 3,
    balanced: bool = False,
) -> Solution:
    """Fit multinomial logistic regression with an L2 strength chosen by cross-validation.

    Features are standardised; in each fold with that fold's training images alone. The folds are
    stratified and seeded. The strength with the least loss on held-out images is chosen: a few
    hundred images tell losses apart long before they tell accuracies apart.
    Where a class has fewer than `folds` images there are fewer folds; with fewer than two, the
    middle strength is taken.

    Args:
        features: Shape (N, width), float32; finite.
        labels: Shape (N,), each class present.
        classes: Number of classes, at least 2.
        seed: Of the folds.
        strengths: Inverse L2 strengths C to try.
        folds: Most folds.
        balanced: Weigh classes by their inverse frequency.

    Source:
        The linear probe of Alain and Bengio 2016, arXiv:1610.01644; L-BFGS of scikit-learn.

    Example:
        >>> points = torch.tensor([[-2.0], [-1.0], [-1.5], [1.0], [2.0], [1.5]])
        >>> found = solve(points, torch.tensor([0, 0, 0, 1, 1, 1]), 2)
        >>> (points @ found.weight.T + found.bias).argmax(dim=1).tolist()
        [0, 0, 0, 1, 1, 1]
    """
    from sklearn.model_selection import StratifiedKFold

    x, y = features.double().numpy(), labels.numpy()
    fewest = int(np.bincount(y, minlength=classes).min())
    scores: dict[float, float] = {}
    if min(folds, fewest) >= 2 and len(strengths) > 1:
        splitter = StratifiedKFold(min(folds, fewest), shuffle=True, random_state=seed)
        losses = dict.fromkeys(strengths, 0.0)
        for train, held in splitter.split(x, y):
            mean, scale = _standardisation(x[train])
            inside, outside = (x[train] - mean) / scale, (x[held] - mean) / scale
            for strength in strengths:
                model = _fit(inside, y[train], strength, balanced)
                logs = model.predict_log_proba(outside)
                losses[strength] -= float(logs[np.arange(len(held)), y[held]].sum())
        scores = {strength: loss / len(y) for strength, loss in losses.items()}
        best = min(strengths, key=lambda strength: scores[strength])
    else:
        best = strengths[len(strengths) // 2]
    mean, scale = _standardisation(x)
    model = _fit((x - mean) / scale, y, best, balanced)
    coefficients, intercept = model.coef_, model.intercept_
    if classes == 2:
        # One sigmoid logit z becomes two softmax logits -z/2 and z/2: the same probabilities.
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercept = np.concatenate([-intercept, intercept]) / 2
    weight = coefficients / scale
    bias = intercept - weight @ mean
    return Solution(torch.from_numpy(weight).float(), torch.from_numpy(bias).float(), best, scores)


def _standardisation(
    x: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    scale = x.std(axis=0)
    # A feature that never varies says nothing: it is left at 0 rather than divided by 0.
    return x.mean(axis=0), np.where(scale > 1e-12, scale, 1.0)


def _fit(x: NDArray[np.float64], y: NDArray[np.int64], strength: float, balanced: bool):  # type: ignore[no-untyped-def] # noqa: ANN202
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(
        C=strength, max_iter=1000, tol=1e-5, class_weight="balanced" if balanced else None
    ).fit(x, y)
