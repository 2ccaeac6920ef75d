"""The directions in which features vary most, which tell how long a step in each may be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graft.heads.solver.lbfgs import Array

RANK = 256
"""Directions that are told apart; all others count as alike."""

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
