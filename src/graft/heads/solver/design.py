"""Features made ready for solving: standardised, and rotated where that makes them narrow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graft.heads.solver.lbfgs import Array
from graft.heads.solver.spectrum import Spectrum, find_spectrum

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
            which says nothing and gets no weight.
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
        """Whether no feature varies, so that nothing can be told apart by them."""
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
