"""A temperature that makes probabilities as sure as held-out rows say they should be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graft.heads.solver.lbfgs import Array

EARNED = 1.0
"""Nats by which a temperature must lower the summed held-out loss to be used."""


def find_temperature(logits: Array, labels: NDArray[np.intp], weights: Array) -> float:
    """Return the T > 0 for which logits / T have the least cross-entropy, 1 where that is noise.

    As in Platt's scaling, every class counts as seen once more than it was, so that a few rows,
    all of them right, do not ask for certainty. This loss is convex in 1 / T, so its slope is
    bisected. A temperature is a parameter like any other: one that lowers the summed cross-entropy
    by less than a nat does not earn its place (Akaike's criterion).

    Args:
        logits: Shape (N, K), of rows that the classifier did not learn from.
        labels: Shape (N,).
        weights: Shape (N,); their sum is the number of images.

    Returns:
        T, between 0.05 and 20.

    Source:
        Guo et al. 2017, On Calibration of Modern Neural Networks, arXiv:1706.04599; Platt 1999,
        Probabilistic Outputs for Support Vector Machines.

    Example:
        >>> too_sure, labels = np.log([[0.99, 0.01]] * 400), np.array([0, 0, 0, 1] * 100)
        >>> round(find_temperature(too_sure, labels, np.ones(400)), 1)
        4.2
    """
    classes = logits.shape[1]
    shifted = (logits - logits.max(axis=1, keepdims=True)).astype(np.float64)
    unseen = classes / (weights.sum() + classes)
    of_label = shifted[np.arange(len(labels)), labels]
    aim = (1 - unseen) * of_label + unseen * shifted.mean(axis=1)

    def slope(sharpness: float) -> float:
        odds = np.exp(sharpness * shifted)
        return float(weights @ ((odds * shifted).sum(axis=1) / odds.sum(axis=1) - aim))

    def loss(sharpness: float) -> float:
        total = np.log(np.exp(sharpness * shifted).sum(axis=1))
        return float(weights @ (total - sharpness * of_label))

    low, high = np.log(0.05), np.log(20.0)
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if slope(np.exp(middle)) > 0 else (middle, high)
    best = float(np.exp((low + high) / 2))
    return 1 / best if loss(1.0) - loss(best) > EARNED else 1.0
