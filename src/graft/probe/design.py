"""The matrix of features that a probe is fitted on: standardised, weighted, and its spectrum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graft.probe.lbfgs import Array

FEWEST = 10
"""Groups of a class that a draw leaves, if the class has them."""


@dataclass(frozen=True)
class WeightedSamples:
    """Features with labels, weighted by group or by class.

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

    def only(self, kept: NDArray[np.intp]) -> WeightedSamples:
        """Return some of the rows."""
        _, groups = np.unique(self.groups[kept], return_inverse=True)
        rest = (self.features[kept], self.labels[kept], self.classes)
        return WeightedSamples(*rest, groups, self.clean[kept], self.balanced)

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

    def draw(self, images: int, seed: int) -> WeightedSamples:
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


RANK = 256
"""Directions whose variances are kept; all others share one mean variance."""

_SAMPLE_ROWS = 4096


@dataclass(frozen=True)
class Spectrum:
    """What is known of the covariance of the columns: C = V diag(values) V' + rest (1 - V V').

    Args:
        values: Shape (R,).
        vectors: V, shape (D, R); None where the columns themselves are the directions.
        rest: The mean variance in the other directions.
    """

    values: Array
    vectors: Array | None
    rest: float

    def solve(self, vectors: Array, curvature: Array, ridge: float) -> Array:
        """Return (curvature C + ridge)^-1 v, for v of shape (Q, K, D) and curvatures (Q,)."""
        kind = vectors.dtype
        known = (1 / (curvature[:, None] * self.values + ridge)).astype(kind)[:, None]
        result: Array
        if self.vectors is None:
            result = vectors * known
            return result
        other = (1 / (curvature * self.rest + ridge)).astype(kind)[:, None, None]
        basis = self.vectors.astype(kind, copy=False)
        shape = (*vectors.shape[:2], len(self.values))
        inside = (vectors.reshape(-1, len(basis)) @ basis).reshape(shape)
        inside *= known - other
        result = vectors * other + (inside.reshape(-1, shape[2]) @ basis.T).reshape(vectors.shape)
        return result


def find_spectrum(columns: Array) -> Spectrum:
    """Find the directions in which standardised columns vary most."""
    sample = columns[:: -(-len(columns) // _SAMPLE_ROWS)]
    rows, width = sample.shape
    if width <= RANK:
        values, vectors = np.linalg.eigh((sample.T @ sample).astype(np.float64) / rows)
        return Spectrum(np.maximum(values, 0), vectors, 1.0)
    draws = np.random.default_rng(0).standard_normal((width, min(RANK, rows)), np.float32)
    basis, _ = np.linalg.qr(sample.T @ (sample @ draws))
    inside = sample @ basis
    values, vectors = np.linalg.eigh((inside.T @ inside).astype(np.float64) / rows)
    values = np.maximum(values, 0)
    everything = float(np.einsum("nd,nd->", sample, sample, dtype=np.float64)) / rows
    rest = max(everything - values.sum(), 1e-6) / max(1, min(width, rows) - len(values))
    return Spectrum(values, basis @ vectors.astype(np.float32), rest)


REDUCED_ROWS = 384
"""Most rows for which their Gram matrix is diagonalised: its cost grows with the cube."""

_BLOCK_ROWS = 256


@dataclass(frozen=True)
class Design:
    """Standardised features, and the way between their coefficients and the given features'.

    Args:
        columns: Shape (N, R): the standardised features, or their coordinates in the space that
            their rows span. The optimum of an L2-penalised linear model lies in that space
            (representer theorem), so nothing is lost.
        mean: Shape (D,), of the given features.
        inverse: Shape (D,), one over the standard deviation; 0 for a feature that never varies,
            which carries no information and gets no weight.
        spectrum: Of the columns.
        basis: Shape (D, R), orthonormal, from coordinates to standardised features; None where the
            columns are the features.
        standardised: The features that were rotated; None where nothing was.
    """

    columns: Array
    mean: Array
    inverse: Array
    spectrum: Spectrum
    basis: Array | None = None
    standardised: Array | None = None

    @property
    def constant(self) -> bool:
        """Whether no feature varies, so that no classes can be separated by them."""
        return not self.inverse.any()

    @staticmethod
    def of(features: Array, shares: Array) -> Design:
        """Standardise features (N, D), rows weighed by (N,), and rotate them where rows are few."""
        rows, width = features.shape
        mean, inverse = _moments(features, shares / shares.sum())
        if rows < width and rows <= REDUCED_ROWS and inverse.any():
            return _rotated((features - mean) * inverse, mean, inverse)
        columns = np.empty(features.shape, np.float32)
        for start in range(0, rows, _BLOCK_ROWS):
            part = slice(start, start + _BLOCK_ROWS)
            columns[part] = (features[part] - mean) * inverse
        return Design(columns, mean, inverse, find_spectrum(columns))

    def inside(self, shares: Array) -> tuple[Array, Array]:
        """Standardise for subsets of the rows, each by its own rows alone.

        A subset's means need no care, since the intercept is free; a subset's deviations t enter
        through the penalty, as |t w|^2 for coefficients w of the columns.

        Args:
            shares: Shape (P, N), the weight of each row in each subset's statistics, 0 for rows
                outside.

        Returns:
            Features for the subsets, (N, R) or (P, N, R), and the scales (P, R) of the penalty.
        """
        if self.basis is None or self.standardised is None:
            return self.columns, _deviations(self.columns, shares)
        scales = _deviations(self.standardised, shares)
        # The optimum lies in the span of the rows over t^2. With L L' = Q' t^-2 Q its weights are
        # t^-2 Q L'^-1 u, whose penalty is |u|^2 and whose logits are those of u on the columns L.
        features = np.stack(
            [
                self.columns @ np.linalg.cholesky((self.basis / scale[:, None] ** 2).T @ self.basis)
                for scale in scales
            ]
        )
        return features, np.ones((len(shares), self.columns.shape[1]))

    def weights(self, coefficients: Array, bias: Array) -> tuple[Array, Array]:
        """Turn a classifier of the columns, (K, R) and (K,), into one of the given features."""
        wide = coefficients if self.basis is None else coefficients @ self.basis.T
        weight = wide * self.inverse
        return weight, bias - weight @ self.mean

    def coefficients(self, weight: Array, bias: Array) -> tuple[Array, Array]:
        """Turn a classifier of the given features into the nearest one of the columns."""
        wide = weight / np.where(self.inverse > 0, self.inverse, 1)
        coefficients = wide if self.basis is None else wide @ self.basis
        return coefficients, bias + weight @ self.mean


def _rotated(standardised: Array, mean: Array, inverse: Array) -> Design:
    values, vectors = np.linalg.eigh(standardised @ standardised.T)
    kept = values > 1e-10 * max(values[-1], 1e-300)
    roots = np.sqrt(values[kept])
    basis = standardised.T @ (vectors[:, kept] / roots)
    spectrum = Spectrum(values[kept] / len(standardised), None, 0.0)
    return Design(vectors[:, kept] * roots, mean, inverse, spectrum, basis, standardised)


def _moments(features: Array, shares: Array) -> tuple[Array, Array]:
    """Return each column's mean and inverse deviation, in double precision, in two passes."""
    blocks = [slice(at, at + _BLOCK_ROWS) for at in range(0, len(features), _BLOCK_ROWS)]
    mean, squares = np.zeros(features.shape[1]), np.zeros(features.shape[1])
    for part in blocks:
        mean += shares[part] @ features[part]
    for part in blocks:
        squares += shares[part] @ (features[part] - mean) ** 2
    deviation = np.sqrt(squares)
    varies = deviation > 1e-10 * np.abs(mean)
    return mean, varies / np.where(varies, deviation, 1)


def _deviations(columns: Array, shares: Array) -> Array:
    """Return each subset's standard deviation (P, R) of the columns, 1 where one never varies."""
    totals = shares.sum(axis=1, keepdims=True)
    first, second = (np.zeros((len(shares), columns.shape[1])) for _ in range(2))
    for start in range(0, len(columns), _BLOCK_ROWS):
        part = slice(start, start + _BLOCK_ROWS)
        block = columns[part].astype(np.float64)
        first += shares[:, part] @ block
        second += shares[:, part] @ block**2
    variances = second / totals - (first / totals) ** 2
    return np.sqrt(np.where(variances > 1e-10, variances, 1.0))
