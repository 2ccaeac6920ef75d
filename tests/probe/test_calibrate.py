"""The temperature of held-out logits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from graft.probe.softmax import find_temperature


def honest(seed: int, rows: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn with just their probabilities."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.standard_normal((rows, classes))
    return logits, (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 99), st.integers(2, 6), st.sampled_from([0.2, 3.0]))
def test_what_was_too_sure_or_not_sure_enough_is_put_right(seed, classes, factor):
    logits, labels = honest(seed, 4000, classes)
    found = find_temperature(logits * factor, labels, np.ones(4000))
    assert found == pytest.approx(factor, rel=0.15)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 99))
def test_it_is_the_minimum_of_the_weighted_loss(seed):
    logits, labels = honest(seed, 5000, 3)
    logits *= 4
    weights = np.random.default_rng(seed).uniform(0, 2, 5000)

    def loss(temperature: float) -> float:
        return -weights @ log_softmax(logits / temperature, axis=1)[np.arange(5000), labels]

    best = minimize_scalar(loss, bounds=(0.5, 10), method="bounded").x
    assert find_temperature(logits, labels, weights) == pytest.approx(best, rel=0.01)


def test_what_chance_explains_is_left_alone():
    found = [find_temperature(*honest(seed, 300, 3), np.ones(300)) for seed in range(20)]
    assert found.count(1.0) >= 15


def test_a_few_rows_all_of_them_right_do_not_ask_for_certainty():
    logits = np.array([[1.0, -1.0], [-1.0, 1.0]] * 10)
    found = find_temperature(logits, np.array([0, 1] * 10), np.ones(20))
    assert 0.4 < found < 1


def test_a_loss_that_no_temperature_lowers_is_left_alone():
    # Right, and surer than twenty rows can prove: cooling them would raise their loss.
    logits = np.array([[9.0, -9.0], [-9.0, 9.0]] * 10)
    assert find_temperature(logits, np.array([0, 1] * 10), np.ones(20)) == 1.0
