"""Numbers about predicted numbers: MAE, RMSE and R2, each with its interval."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from graft.evaluation.bootstrap import bootstrap_interval, distinct_weights

Array = NDArray[np.float64]


def r2(outputs: Tensor, targets: Tensor) -> float | None:
    """Return the share of the targets' variance that is explained; None where they are equal.

    Args:
        outputs: Predicted numbers, shape (N,) or (N, 1).
        targets: The right ones, shape (N,) or (N, 1).
    """
    truth = targets.reshape(-1).double()
    spread = float((truth - truth.mean()).square().mean())
    if bool((truth == truth[0]).all()) or not spread:
        return None
    return 1 - mean_squared_error(outputs, targets) / spread


def mean_squared_error(outputs: Tensor, targets: Tensor) -> float:
    """Return the mean squared error, in double precision."""
    error = outputs.reshape(-1).double() - targets.reshape(-1).double()
    return float(error.square().mean())


def metrics(
    outputs: Tensor,
    targets: Tensor,
    identities: Sequence[Hashable] | None = None,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Return everything that is reported about a number per image.

    Args:
        outputs: Predicted numbers, shape (N,) or (N, 1), N at least 1.
        targets: The right ones, shape (N,) or (N, 1).
        identities: What copies of one image share, as `Sample.identity`; None where each image is
            distinct. Intervals count distinct images, everything else counts images.
        seed: Of the bootstrap.

    Returns:
        `R2`, `interval` (95 %, bootstrap over distinct images), `distinct_R2`, `MAE` and
        `MAE_interval`, `RMSE` and `RMSE_interval`, `loss` (mean squared error), `images`,
        `distinct_images`, and `undefined`: in words why there is no R2, else None. Where the right
        numbers are all equal, R2 and its interval are None: it compares with their spread.

    Source:
        R2 = 1 - sum (y - f)^2 / sum (y - mean y)^2, as scikit-learn's `r2_score`.

    Example:
        >>> import torch
        >>> found = metrics(torch.tensor([1.0, 2.0, 3.5]), torch.tensor([1.0, 2.0, 3.0]))
        >>> round(found["R2"], 3), round(found["MAE"], 3), round(found["RMSE"], 3)
        (0.875, 0.167, 0.289)
        >>> metrics(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 3.0]))["undefined"]
        'R2 is not defined: all 2 images have the value 3.'
    """
    said, truth = (given.reshape(-1).double().numpy() for given in (outputs, targets))
    error = said - truth
    images, constant = len(truth), bool((truth == truth[0]).all())
    share, distinct = distinct_weights(images, identities)
    centred = truth - truth.mean()  # so that squares lose no digits

    def absolute(weights: Array) -> Array:
        return _mean(weights, np.abs(error))

    def root(weights: Array) -> Array:
        return np.sqrt(_mean(weights, error**2))

    def explained(weights: Array) -> Array:
        spread = _mean(weights, centred**2) - _mean(weights, centred) ** 2
        # A draw of one image alone has no spread but that of rounding.
        enough = spread > 1e-12 * (centred**2).max()
        return 1 - _mean(weights, error**2) / np.where(enough, spread, np.nan)

    def interval(statistic: Callable[[Array], Array]) -> list[float] | None:
        return bootstrap_interval(statistic, images, identities, seed=seed)

    once = np.ones((images, 1))
    return {
        "R2": None if constant else float(explained(once)[0]),
        "interval": None if constant else interval(explained),
        "distinct_R2": None if constant else float(explained(share[:, None])[0]),
        "MAE": float(absolute(once)[0]),
        "MAE_interval": interval(absolute),
        "RMSE": float(root(once)[0]),
        "RMSE_interval": interval(root),
        "loss": float((error**2).mean()),
        "images": images,
        "distinct_images": distinct,
        "undefined": f"R2 is not defined: {_all(images)} the value {truth[0]:g}."
        if constant
        else None,
    }


def _mean(weights: Array, values: Array) -> Array:
    averaged: Array = values @ weights / weights.sum(axis=0)
    return averaged


def _all(images: int) -> str:
    return "the only image has" if images == 1 else f"all {images} images have"
