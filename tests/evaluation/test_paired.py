"""Two models on the same images: equations against their definitions."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from graft.evaluation.intervals import Tally, difference_interval, holm, mcnemar, unpaired

counts = st.integers(0, 60)


@given(counts, counts)
def test_the_exact_test_is_the_two_sided_binomial_sum(first, second):
    total = first + second
    less = sum(comb(total, k) for k in range(min(first, second) + 1)) / 2**total
    assert mcnemar(first, second) == pytest.approx(min(1.0, 2 * less))
    assert mcnemar(first, second) == mcnemar(second, first)


@given(counts, counts, st.integers(1, 200))
def test_the_interval_turns_around_with_the_models(first, second, others):
    images = first + second + others
    low, high = difference_interval(first, second, images)
    back_low, back_high = difference_interval(second, first, images)
    assert (low, high) == pytest.approx((-back_high, -back_low))
    assert -1 <= low <= high <= 1


def test_the_interval_covers_the_true_difference_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    shares, images = (0.07, 0.03, 0.9), 300
    covered = 0
    for first, second, _ in rng.multinomial(images, shares, size=2000).tolist():
        low, high = difference_interval(first, second, images)
        covered += low <= 0.04 <= high
    assert 0.93 < covered / 2000 < 0.985


def test_holm_multiplies_by_the_number_of_questions_left_and_keeps_the_order():
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@pytest.mark.parametrize(("first", "second"), [(8, 12), (20, 20), (20, 200), (153, 50)])
@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_two_accuracies_of_the_same_share_are_seldom_called_different(first, second, share):
    """Exact: over all outcomes of two binomials, weighted by their probability."""
    alarms = sum(
        binom.pmf(one, first, share) * binom.pmf(two, second, share)
        for one in range(first + 1)
        for two in range(second + 1)
        if unpaired(Tally(one, first, one, first), Tally(two, second, two, second)) < 0.05
    )
    assert alarms < 0.065


def test_copies_do_not_make_two_accuracies_different():
    one, other = [True] * 8 + [False] * 2, [True] * 6 + [False] * 4
    alone = unpaired(Tally.of(one), Tally.of(other))
    names = [str(n % 10) for n in range(100)]
    assert unpaired(Tally.of(one * 10, names), Tally.of(other * 10, names)) == pytest.approx(alone)
    assert unpaired(Tally.of(one * 10), Tally.of(other * 10)) < alone
