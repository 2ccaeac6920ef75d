"""A linear head for numbers: ridge regression on frozen features, in closed form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graft.probe.solve import Solution

Array = NDArray[np.float64]

ALPHAS = tuple(float(alpha) for alpha in np.logspace(-4, 7, 45))
"""L2 penalties to try, for features of unit variance and a sum of squares over images."""


def solve_ridge(
    features: Tensor,
    values: Tensor,
    *,
    seed: int = 0,
    alphas: Sequence[float] = ALPHAS,
    folds: int = 5,
    groups: Tensor | None = None,
    clean: Tensor | None = None,
) -> Solution:
    """Fit ridge regression with a penalty chosen by cross-validation.

    Minimised is the sum of the images' squared errors plus alpha |w|^2, the intercept free, on
    features standardised by the training rows; in each fold by that fold's alone. One
    eigendecomposition per fold gives the fits of all penalties. The penalty with the least mean
    squared error on held-out images is chosen, the larger of equals. With fewer than two images
    there is nothing to choose by, and the middle one is taken.

    Args:
        features: Shape (N, width), float32; finite.
        values: Shape (N,) or (N, 1); finite.
        seed: Of the folds.
        alphas: Penalties to try.
        folds: Most folds.
        groups: Shape (N,), integers: which image a row is a view of. The views of an image are on
            one side of every fold and share its weight. None means one row for each image.
        clean: Shape (N,), bool: the rows on which held-out error is measured; None means all.

    Returns:
        Weights (1, width) and bias (1,), for features as they are. `C` is 1 / alpha, the one
        of half the squared error, and `scores` has the mean squared error of each.

    Source:
        Hoerl and Kennard 1970, Ridge Regression: Biased Estimation for Nonorthogonal Problems.

    Example:
        >>> points = torch.arange(10.0)[:, None]
        >>> found = solve_ridge(points, 3 * points[:, 0] + 1)
        >>> round(float(found.weight), 3), round(float(found.bias), 3)
        (3.0, 1.0)
    """
    x, y = features.numpy(), values.reshape(-1).numpy().astype(np.float64)
    owner = np.arange(len(y)) if groups is None else groups.numpy()
    _, image = np.unique(owner, return_inverse=True)
    share = 1 / np.bincount(image)[image]
    measured = share * (np.ones(len(y), bool) if clean is None else clean.numpy())
    tried, images = sorted(alphas, reverse=True), int(image.max()) + 1
    count = min(folds, images)
    alpha, losses, held_out = tried[len(tried) // 2], {}, None
    if count > 1:
        fold = np.random.default_rng(seed).permutation(images)[image] % count
        error, fits = np.zeros(len(tried)), []
        for held in range(count):
            inside, outside = fold != held, fold == held
            weight, bias = _fit(x[inside], y[inside], share[inside], tried)
            missed = (x[outside] @ weight.T + bias - y[outside, None]) ** 2
            error += measured[outside] @ missed
            fits.append((weight, bias))
        error /= measured.sum()
        losses = {1 / a: float(e) for a, e in zip(tried, error, strict=True)}
        best = int(error.argmin())
        alpha, held_out = tried[best], torch.empty(len(y), 1)
        for held, (weight, bias) in enumerate(fits):
            rows = x[fold == held] @ weight[best] + bias[best]
            held_out[torch.from_numpy(fold == held), 0] = torch.from_numpy(rows).float()
    weight, bias = _fit(x, y, share, [alpha])
    return Solution(
        torch.from_numpy(weight).float(),
        torch.from_numpy(bias).float(),
        1 / alpha,
        losses,
        at_edge=bool(losses) and alpha in (tried[0], tried[-1]),
        images=images if losses else 0,
        folds=count if losses else 0,
        constant=not weight.any(),
        held_out=held_out,
    )


def _fit(
    x: NDArray[np.float32], y: Array, share: Array, alphas: Sequence[float]
) -> tuple[Array, Array]:
    """Return weights (A, D) and biases (A,) of all penalties, for features as they are."""
    total = share.sum()
    mean, middle = share @ x / total, share @ y / total
    deviation = np.sqrt(share @ (x - mean) ** 2 / total)
    varies = deviation > 1e-7 * np.maximum(np.abs(mean), 1e-30)
    inverse = varies / np.where(varies, deviation, 1)
    root = np.sqrt(share)[:, None]
    standard = (x - mean) * inverse * root
    target = (y - middle) * root[:, 0]
    penalties = np.array(alphas)[:, None]
    # In the smaller of both spaces: X'(XX' + a)^-1 y is (X'X + a)^-1 X'y.
    if len(x) < x.shape[1]:
        values, vectors = np.linalg.eigh(standard @ standard.T)
        inner = (vectors.T @ target) / (np.maximum(values, 0) + penalties)
        weight = (inner @ vectors.T) @ standard
    else:
        values, vectors = np.linalg.eigh(standard.T @ standard)
        inner = (vectors.T @ (standard.T @ target)) / (np.maximum(values, 0) + penalties)
        weight = inner @ vectors.T
    weight = weight * inverse
    return weight, middle - weight @ mean
