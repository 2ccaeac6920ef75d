"""Multinomial logistic regression: its loss and gradient, and temperature scaling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graft.probe.lbfgs import Array, Which

CURVATURE, HELD_LOSS = 0, 1
"""Columns of the notes that `SoftmaxLoss` makes of every point."""

_BLOCK_ROWS, _BLOCK_LOGITS = 4096, 1 << 19


@dataclass(frozen=True)
class SoftmaxLoss:
    """Weighted cross-entropy of P linear classifiers, with an L2 penalty that spares the intercept.

    Problem p minimises, over weights w (K, D) and intercepts b (K,),

        sum_i train[p, i] * cross_entropy(w x_i + b, y_i) + ridge / 2 * |scale[p] * w|^2

    where ridge = 1 / C; of two classes each holds half the weights of one sigmoid's logit,
    whose penalty this is with ridge = 2 / C. A point is w and b, flat: K * D + K numbers.
    Held-out rows cost nothing extra: their loss falls out of the logits of all rows.

    Args:
        features: Shape (N, D), shared by all problems, or (P, N, D), each problem its own.
        labels: Shape (N,), 0 to K - 1.
        classes: K.
        train: Shape (P, N), the weight of each row in each problem's loss, 0 for held-out rows.
        held: Shape (P, N), the weights of the rows on which each problem's held-out loss is
            measured.
        scale: Shape (P, D).
        C: inverse L2 penalty C C.
        kind: The dtype of the computation; features of another are converted block by block.

    Example:
        >>> x, y, one = np.array([[1.0], [-1.0]]), np.array([0, 1]), np.ones((1, 2))
        >>> loss = SoftmaxLoss(x, y, 2, train=one, held=0 * one, scale=one[:, :1])
        >>> values, gradients, _ = loss(np.zeros((1, 4)), np.array([0]))
        >>> values.round(3).tolist(), gradients.tolist()
        ([1.386], [[-1.0, 1.0, 0.0, 0.0]])
    """

    features: Array
    labels: NDArray[np.intp]
    classes: int
    train: Array
    held: Array
    scale: Array
    C: float = 1.0
    kind: type[np.floating] = np.float64

    @property
    def ridge(self) -> float:
        """The factor of the penalty."""
        return (2 if self.classes == 2 else 1) / self.C

    @property
    def width(self) -> int:
        """D, the number of features."""
        return int(self.features.shape[-1])

    def __call__(self, points: Array, which: Which) -> tuple[Array, Array, Array]:
        """Evaluate points (Q, K * D + K) of the problems `which` (Q,).

        Returns:
            Values (Q,), gradients like the points, and notes (Q, 2): the summed curvature of the
            cross-entropy in a logit, and the held-out loss.
        """
        weight, bias = self.split(points)
        values, notes = np.zeros(len(which)), np.zeros((len(which), 2))
        gradient, bias_gradient = np.zeros_like(weight), np.zeros(bias.shape)
        for rows in self.blocks(len(which)):
            x = self._rows(which, rows)
            scores = _scores(weight, x)
            scores += bias[:, :, None]
            scores -= scores.max(axis=1, keepdims=True)
            flat = scores.reshape(len(which), -1)
            count = scores.shape[2]
            label = self.labels[rows] * count + np.arange(count)
            of_label = flat[:, label]
            np.exp(scores, out=scores)
            total = scores.sum(axis=1)
            loss = np.log(total) - of_label
            train, held = self.train[which, rows], self.held[which, rows]
            values += np.einsum("pn,pn->p", loss, train, dtype=np.float64)
            notes[:, HELD_LOSS] += np.einsum("pn,pn->p", loss, held, dtype=np.float64)
            scores *= (train / total)[:, None]
            missed = train - flat[:, label]
            flat[:, label] = -missed
            notes[:, CURVATURE] += missed.sum(axis=1, dtype=np.float64)
            gradient += _gather(scores, x)
            bias_gradient += scores.sum(axis=2, dtype=np.float64)
        notes[:, CURVATURE] /= self.classes - 1
        pull = self.scale[which][:, None] ** 2 * weight * self.kind(self.ridge)
        values += np.einsum("pkd,pkd->p", pull, weight, dtype=np.float64) / 2
        gradient += pull
        return values, self.join(gradient, bias_gradient), notes

    def logits(self, points: Array, which: Which) -> Array:
        """Return the logits (Q, K, N) of all rows."""
        weight, bias = self.split(points)
        parts = [
            _scores(weight, self._rows(which, rows)) + bias[:, :, None]
            for rows in self.blocks(len(which))
        ]
        return np.concatenate(parts, axis=2)

    def split(self, points: Array) -> tuple[Array, Array]:
        """Return the weights (Q, K, D) and the intercepts (Q, K) of points."""
        edge = self.classes * self.width
        return points[:, :edge].reshape(-1, self.classes, self.width), points[:, edge:]

    def join(self, weight: Array, bias: Array) -> Array:
        """Return the points of weights (Q, K, D) and intercepts (Q, K)."""
        return np.concatenate([weight.reshape(len(weight), -1), bias], axis=1, dtype=self.kind)

    def blocks(self, problems: int) -> list[slice]:
        """Cut the rows into blocks whose logits stay in the processor's cache."""
        rows = len(self.labels)
        size = max(64, min(_BLOCK_ROWS, _BLOCK_LOGITS // (problems * self.classes)))
        return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]

    def _rows(self, which: Which, rows: slice) -> Array:
        x: Array
        if self.features.ndim == 2:
            x = self.features[rows]
        elif len(which) == len(self.features):  # all of them: a view, not a copy
            x = self.features[:, rows]
        else:
            x = self.features[which, rows]
        return x.astype(self.kind, copy=False)


def _scores(weight: Array, x: Array) -> Array:
    problems, classes, width = weight.shape
    if x.ndim == 2:
        weight, x = weight.reshape(-1, width), x.T
    else:
        x = x.swapaxes(1, 2)
    scores: Array = np.matmul(weight, x)
    return scores.reshape(problems, classes, -1)


def _gather(residuals: Array, x: Array) -> Array:
    problems, classes, rows = residuals.shape
    if x.ndim == 2:
        residuals = residuals.reshape(-1, rows)
    gathered: Array = np.matmul(residuals, x)
    return gathered.reshape(problems, classes, -1)


EARNED = 1.0
"""Nats by which a temperature must lower the summed held-out loss to be used."""


def find_temperature(logits: Array, labels: NDArray[np.intp], weights: Array) -> float:
    """Return the T > 0 for which logits / T have the least cross-entropy, 1 where that is noise.

    As in Platt's scaling, every class counts as seen once more than it was, so that a few rows,
    all of them right, do not lead to infinite confidence. This loss is convex in 1 / T, so its
    slope is bisected. A temperature is a parameter like any other: one that lowers the summed
    cross-entropy by less than a nat does not earn its place (Akaike's criterion).

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
