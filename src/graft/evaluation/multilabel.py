"""Numbers about several labels per image: average precision, F1, and the thresholds they use."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from graft.evaluation.bootstrap import bootstrap_interval, distinct_weights

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

THRESHOLD = 0.5
"""Where nothing speaks for another one."""


def average_precision(scores: Array, truth: Flags, weights: Array | None = None) -> Array:
    """Return the area under the precision-recall steps of one label, for each set of weights.

    It is the sum of (R_n - R_(n-1)) P_n over the distinct scores, best first; equal scores are one
    step, so that their order does not matter.

    Args:
        scores: Shape (N,), higher for images that have the label.
        truth: Shape (N,), which images have it.
        weights: Shape (N, B), what each image counts; None for one column of ones.

    Returns:
        Shape (B,); NaN where no image has the label.

    Source:
        Everingham et al. 2010, The PASCAL Visual Object Classes Challenge; without interpolation,
        as scikit-learn's `average_precision_score`.

    Example:
        >>> average_precision(np.array([0.9, 0.8, 0.3]), np.array([True, False, True]))
        array([0.83333333])
    """
    weights = np.ones((len(scores), 1)) if weights is None else weights
    order = np.argsort(-scores, kind="stable")
    sums = weights[order]
    positive = truth[order]
    steps = np.append(0, np.flatnonzero(np.diff(scores[order])) + 1)
    named = np.cumsum(sums, axis=0)
    if len(steps) < len(scores):
        named = named[np.append(steps[1:], len(scores)) - 1]
        sums = np.add.reduceat(sums * positive[:, None], steps)
        positive = np.add.reduceat(positive.astype(int), steps) > 0
    # The recall changes only where an image with the label comes.
    gained, named = sums[positive], named[positive]
    right = np.cumsum(gained, axis=0)
    area = (gained * right / np.where(named > 0, named, 1)).sum(axis=0)
    positives = gained.sum(axis=0)
    found: Array = area / np.where(positives > 0, positives, np.nan)
    return found


def probabilities(logits: Tensor) -> Tensor:
    """Sigmoid in double precision, rounded to six places: what is shown, stored and compared."""
    return logits.double().sigmoid().round(decimals=6)


def mean_average_precision(logits: Tensor, targets: Tensor) -> float | None:
    """Return the mean of the labels' average precisions; None where no image has a label.

    Args:
        logits: Shape (N, labels).
        targets: Shape (N, labels), 1 where an image has a label. A label that no image has enters
            no mean.
    """
    shares, truth = logits.double().sigmoid().numpy(), targets.numpy() > 0
    each = [
        average_precision(scores, has)[0]
        for scores, has in zip(shares.T, truth.T, strict=True)
        if has.any()
    ]
    return float(np.mean(each)) if each else None


def mean_loss(logits: Tensor, targets: Tensor) -> float:
    """Return the binary cross-entropy in nats per image and label, in double precision."""
    return float(functional.binary_cross_entropy_with_logits(logits.double(), targets.double()))


def best_thresholds(probabilities: Tensor, targets: Tensor) -> tuple[float, ...]:
    """Return the threshold of each label that gives the best F1 on validation images.

    An image is said to have a label if its probability is the threshold or more. Of thresholds
    with equal F1 the one nearest to 0.5 is taken, the higher of two as near. A label that no image
    has keeps 0.5, because its F1 is the same everywhere.

    Args:
        probabilities: Shape (N, labels).
        targets: Shape (N, labels), 1 where an image has a label.

    Source:
        Lipton, Elkan and Naryanaswamy 2014, Optimal Thresholding of Classifiers to Maximize F1
        Measure, arXiv:1402.1892.

    Example:
        >>> import torch
        >>> probabilities = torch.tensor([[0.75], [0.25], [0.125]])
        >>> best_thresholds(probabilities, torch.tensor([[1], [1], [0]]))
        (0.1875,)
    """
    return tuple(
        _best_threshold(column, truth)
        for column, truth in zip(
            probabilities.double().numpy().T, targets.numpy().T > 0, strict=True
        )
    )


def metrics(
    logits: Tensor,
    targets: Tensor,
    labels: Sequence[str],
    thresholds: Sequence[float] | None = None,
    identities: Sequence[Hashable] | None = None,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Return everything that is reported about several labels per image.

    Args:
        logits: Shape (N, labels), N at least 1.
        targets: Shape (N, labels), 1 where an image has a label and 0 where it has not.
        labels: Their names. A label that no image has gets an average precision and an F1 of None,
            and enters no mean.
        thresholds: Probability from which on an image is said to have each label; None means 0.5.
        identities: What copies of one image share, as `Sample.identity`; None where each image is
            distinct. The interval counts distinct images, everything else counts images.
        seed: Of the bootstrap.

    Returns:
        `mAP` (mean of the labels' average precisions; None where no image has any), `interval`
        (95 %, bootstrap over distinct images), `distinct_mAP`, `images`, `distinct_images`, `loss`
        (binary cross-entropy in nats per image and label), `macro_f1`, `micro_f1`, `per_label`
        (`average_precision`, `f1`, `precision`, `recall`, `threshold`, `support`), `labels`, and
        `undefined`: in words why there is no mAP, else None.

    Example:
        >>> import torch
        >>> found = metrics(
        ...     torch.tensor([[2.0, -1.0], [1.0, 3.0], [-2.0, -3.0]]),
        ...     torch.tensor([[1, 0], [1, 1], [0, 0]]),
        ...     ["striped", "winged"],
        ... )
        >>> found["mAP"], found["macro_f1"], found["per_label"]["winged"]["support"]
        (1.0, 1.0, 1)
    """
    shares = logits.double().sigmoid().numpy()
    truth = targets.numpy() > 0
    chosen = [THRESHOLD] * len(labels) if thresholds is None else list(thresholds)
    said = probabilities(logits).numpy() >= np.array(chosen)
    right, named, support = ((found).sum(axis=0) for found in (said & truth, said, truth))
    share, distinct = distinct_weights(len(truth), identities)

    def mean(weights: Array) -> Array:
        columns = [
            average_precision(scores, has, weights)
            for scores, has in zip(shares.T, truth.T, strict=True)
            if has.any()
        ]
        total = np.nansum(columns, axis=0)
        count = np.isfinite(columns).sum(axis=0)
        averaged: Array = total / np.where(count > 0, count, np.nan)
        return averaged

    each = [
        float(average_precision(scores, has)[0]) if has.any() else None
        for scores, has in zip(shares.T, truth.T, strict=True)
    ]
    f1 = 2 * right / np.maximum(named + support, 1)
    present = support > 0
    some = bool(present.any())
    return {
        "mAP": mean_average_precision(logits, targets),
        "interval": bootstrap_interval(mean, len(truth), identities, seed=seed) if some else None,
        "distinct_mAP": float(mean(share[:, None])[0]) if some else None,
        "images": len(truth),
        "distinct_images": distinct,
        "loss": mean_loss(logits, targets),
        "macro_f1": float(f1[present].mean()) if some else None,
        "micro_f1": float(2 * right.sum() / (named.sum() + support.sum())) if some else None,
        "per_label": {
            name: {
                "average_precision": each[index],
                "f1": float(f1[index]) if present[index] else None,
                "precision": float(right[index] / named[index]) if named[index] else None,
                "recall": float(right[index] / support[index]) if present[index] else None,
                "threshold": float(chosen[index]),
                "support": int(support[index]),
            }
            for index, name in enumerate(labels)
        },
        "labels": list(labels),
        "undefined": None
        if some
        else f"mAP is not defined: none of the {len(truth)} images has a label.",
    }


def _best_threshold(probabilities: Array, truth: Flags) -> float:
    if not truth.any():
        return THRESHOLD
    values, place = np.unique(-probabilities, return_inverse=True)
    values = -values  # descending: with the threshold at one of them, all before it are named too
    right = np.cumsum(np.bincount(place, truth))
    named = np.cumsum(np.bincount(place))
    f1 = 2 * right / (named + truth.sum())
    below = np.append(values[1:], 0.0)
    middle = np.where((below < THRESHOLD) & (values >= THRESHOLD), THRESHOLD, (values + below) / 2)
    best = np.flatnonzero(f1 >= f1.max() * (1 - 1e-12))
    distance = np.round(np.abs(middle[best] - THRESHOLD), 12)
    return float(middle[best[distance.argmin()]])
