"""The batched minimiser: each problem reaches its own minimum, and then leaves."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.probe.lbfgs import minimise

SEEDS = st.integers(0, 999)


def bowls(seed: int, problems: int = 4, width: int = 8, spread: float = 2.0):
    """Quadratic functions of different shapes, and their minima."""
    rng = np.random.default_rng(seed)
    rotations = np.linalg.qr(rng.standard_normal((problems, width, width)))[0]
    scales = 10 ** rng.uniform(-spread, spread, (problems, 1, width))
    hessians = (rotations * scales) @ rotations.swapaxes(1, 2)
    minima = rng.standard_normal((problems, width))

    def function(points, which):
        away = points - minima[which]
        gradients = np.einsum("pij,pj->pi", hessians[which], away)
        return np.einsum("pi,pi->p", away, gradients) / 2, gradients, away[:, :1]

    return function, minima


def identity(vectors, notes, which):
    return vectors.copy()


def tight(problems: int) -> np.ndarray:
    return np.full(problems, 1e-14)


@settings(deadline=None)
@given(SEEDS)
def test_every_problem_reaches_its_minimum(seed):
    function, minima = bowls(seed)
    found, _ = minimise(function, np.zeros_like(minima), identity, tolerance=tight(4))
    np.testing.assert_allclose(found, minima, atol=1e-5)


@settings(deadline=None)
@given(SEEDS)
def test_a_function_that_is_no_parabola_is_minimised_from_afar(seed):
    def log_cosh(points, which):
        away = points - 3.0
        values = np.logaddexp(away, -away).sum(axis=1)
        return values, np.tanh(away), away[:, :0]

    start = np.random.default_rng(seed).uniform(-50, 50, (3, 5))
    found, _ = minimise(log_cosh, start, identity, tolerance=tight(3))
    np.testing.assert_allclose(found, 3.0, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_a_preconditioner_of_the_wrong_scale_costs_time_alone(scale):
    function, minima = bowls(0, spread=1.0)
    found, _ = minimise(
        function, np.zeros_like(minima), lambda v, *_: v * scale, tolerance=tight(4) * scale
    )
    np.testing.assert_allclose(found, minima, atol=1e-4)


def test_a_value_that_is_not_finite_shortens_the_step():
    def walled(points, which):
        with np.errstate(invalid="ignore", divide="ignore"):
            values = (points - np.log(points)).sum(axis=1)
            return values, 1 - 1 / points, points[:, :0]

    found, _ = minimise(walled, np.full((1, 2), 1e-3), identity, tolerance=tight(1))
    np.testing.assert_allclose(found, 1.0, atol=1e-5)


def test_a_problem_that_is_done_leaves_the_batch():
    function, minima = bowls(1)
    start = np.zeros_like(minima)
    start[2] = minima[2]
    asked = []

    def watched(points, which):
        asked.append(set(which.tolist()))
        return function(points, which)

    minimise(watched, start, identity, tolerance=tight(4))
    assert asked[0] == {0, 1, 2, 3}
    assert 2 not in asked[1]
    assert all(later <= earlier for earlier, later in pairwise(asked))
    assert len(asked[-1]) < 3


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_a_problem_is_solved_alike_in_any_company(seed):
    function, minima = bowls(seed)
    together, _ = minimise(function, np.zeros_like(minima), identity, tolerance=tight(4))
    alone, _ = minimise(
        lambda points, which: function(points, which + 3),
        np.zeros_like(minima[3:]),
        identity,
        tolerance=tight(1),
    )
    np.testing.assert_allclose(alone[0], together[3], atol=1e-6)


def test_the_notes_are_those_of_the_solutions():
    function, minima = bowls(3)
    found, notes = minimise(function, np.zeros_like(minima), identity, tolerance=tight(4))
    np.testing.assert_array_equal(notes[:, 0], (found - minima)[:, 0])


def test_the_number_of_rounds_is_limited():
    function, minima = bowls(4, spread=4.0)
    calls = []

    def counted(points, which):
        calls.append(len(which))
        return function(points, which)

    found, _ = minimise(counted, np.zeros_like(minima), identity, tolerance=tight(4) * 0, rounds=7)
    assert len(calls) == 7
    start, _, _ = function(np.zeros_like(minima), np.arange(4))
    assert (function(found, np.arange(4))[0] < start).all()


def test_single_precision_ends_where_rounding_does():
    function, minima = bowls(5, spread=1.0)
    calls = []

    def rounded(points, which):
        calls.append(len(which))
        values, gradients, notes = function(points, which)
        values = (values + 100).astype(np.float32).astype(float)
        return values, gradients.astype(np.float32), notes

    start = np.zeros_like(minima, np.float32)
    found, _ = minimise(rounded, start, identity, tolerance=tight(4) * 0)
    np.testing.assert_allclose(found, minima, atol=5e-3)
    assert len(calls) < 200
