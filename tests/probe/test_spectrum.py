"""What is known of a covariance, and steps that respect it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.probe.design import RANK, Spectrum, find_spectrum

pytestmark = pytest.mark.numeric


@given(st.integers(0, 99), st.floats(0.01, 10), st.floats(0.01, 10))
def test_solving_inverts_the_covariance_and_a_ridge(seed, curvature, ridge):
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((6, 2)))[0]
    spectrum = Spectrum(np.array([3.0, 5.0]), basis, 0.7)
    covariance = basis * spectrum.values @ basis.T + 0.7 * (np.eye(6) - basis @ basis.T)
    vectors = rng.standard_normal((1, 2, 6))
    found = spectrum.solve(vectors, np.array([curvature]), ridge)
    expected = vectors @ np.linalg.inv(curvature * covariance + ridge * np.eye(6))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_of_few_columns_the_covariance_is_known_entirely():
    columns = np.random.default_rng(0).standard_normal((500, 20)).astype(np.float32)
    spectrum = find_spectrum(columns)
    found = spectrum.vectors * spectrum.values @ spectrum.vectors.T
    np.testing.assert_allclose(found, columns.T @ columns / 500, atol=1e-5)


def test_of_many_columns_the_strong_directions_are_known_and_the_rest_on_average():
    rng = np.random.default_rng(0)
    strong = 10 * rng.standard_normal((2000, 5)) @ np.linalg.qr(rng.standard_normal((400, 5)))[0].T
    columns = (strong + rng.standard_normal((2000, 400))).astype(np.float32)
    spectrum = find_spectrum(columns)
    assert spectrum.values.shape == (RANK,)
    exact = np.linalg.eigvalsh(columns.T @ columns / 2000)
    np.testing.assert_allclose(np.sort(spectrum.values)[-5:], exact[-5:], rtol=1e-3)
    total = spectrum.values.sum() + (400 - RANK) * spectrum.rest
    np.testing.assert_allclose(total, exact.sum(), rtol=1e-4)


def test_few_rows_of_many_columns_are_no_obstacle():
    columns = np.random.default_rng(0).standard_normal((50, 400)).astype(np.float32)
    assert np.isfinite(find_spectrum(columns).solve(np.ones((1, 1, 400)), np.ones(1), 0.1)).all()
