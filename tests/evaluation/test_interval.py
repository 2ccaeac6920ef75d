"""Wilson's interval: its defining equation, its ends, and scipy's word for it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from graft.evaluation.intervals import wilson_interval


@given(st.integers(1, 5000), st.floats(0, 1))
def test_each_bound_is_a_share_from_which_the_result_is_as_far_as_the_quantile(images, share):
    correct = round(share * images)
    found, z = correct / images, 1.959964
    for bound in wilson_interval(correct, images):
        if 1e-9 < bound < 1 - 1e-9:
            distance = abs(found - bound) / math.sqrt(bound * (1 - bound) / images)
            assert distance == pytest.approx(z, abs=1e-3)


@given(st.integers(1, 100_000), st.floats(0, 1), st.sampled_from([0.5, 0.8, 0.95, 0.999]))
def test_scipy_finds_the_same_interval(images, share, confidence):
    correct = round(share * images)
    expected = binomtest(correct, images).proportion_ci(confidence, method="wilson")
    assert wilson_interval(correct, images, confidence) == pytest.approx(expected, abs=1e-12)


def test_a_perfect_score_on_few_images_is_not_certainty():
    low, high = wilson_interval(10, 10)
    assert low == pytest.approx(0.722, abs=1e-3)
    assert high == 1.0
    assert wilson_interval(0, 10)[0] == 0.0


def test_no_images_tell_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)
