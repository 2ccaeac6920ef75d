"""Promises of the bootstrap: seeded, over distinct images, and about as wide as theory says."""

from __future__ import annotations

import numpy as np
import pytest

from graft.evaluation.bootstrap import bootstrap_interval

pytestmark = pytest.mark.numeric


def mean_of(values):
    return lambda weights: values @ weights / weights.sum(axis=0)


def test_a_mean_has_the_interval_of_its_standard_error():
    values = np.random.default_rng(0).standard_normal(400)
    low, high = bootstrap_interval(mean_of(values), 400)
    error = values.std() / 20
    np.testing.assert_allclose(
        [low, high], values.mean() + 1.96 * error * np.array([-1, 1]), atol=error / 4
    )


def test_copies_are_no_evidence():
    values = np.random.default_rng(0).standard_normal(30)
    alone = bootstrap_interval(mean_of(values), 30)
    tenfold = bootstrap_interval(mean_of(np.tile(values, 10)), 300, list(range(30)) * 10)
    np.testing.assert_allclose(tenfold, alone)
    copies = np.repeat(np.arange(30), [100, *[1] * 29])
    unequal = bootstrap_interval(mean_of(values[copies]), 129, copies.tolist())
    np.testing.assert_allclose(unequal, alone)


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(0).standard_normal(50)
    assert bootstrap_interval(mean_of(values), 50) == bootstrap_interval(mean_of(values), 50)
    assert bootstrap_interval(mean_of(values), 50, seed=1) != bootstrap_interval(
        mean_of(values), 50
    )


def test_one_distinct_image_has_no_interval():
    assert bootstrap_interval(mean_of(np.ones(5)), 5, ["a"] * 5) is None


def test_many_images_are_drawn_in_blocks(monkeypatch):
    values = np.random.default_rng(0).standard_normal(100)
    whole = bootstrap_interval(mean_of(values), 100)
    monkeypatch.setattr("graft.evaluation.bootstrap._ELEMENTS", 1000)
    np.testing.assert_allclose(bootstrap_interval(mean_of(values), 100), whole)
