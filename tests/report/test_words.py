"""Words never obey what they show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.report.text import between, count, duration, percent, rate, visible


@given(st.text())
def test_whatever_a_name_holds_it_prints_and_encodes(name: str) -> None:
    assert visible(name).isprintable()
    visible(name).encode("utf-8")


@pytest.mark.parametrize("name", ["ants", "ミツバチ", "été", "[red]", "<b>", ""])
def test_a_name_that_prints_is_left_as_it_is(name: str) -> None:
    assert visible(name) == name


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "0.5", True, []])
def test_what_is_no_number_is_shown_as_absent(value: object) -> None:
    assert {percent(value), count(value), rate(value), duration(value)} == {"–"}


def test_an_interval_with_an_unknown_bound_is_absent() -> None:
    assert between([0.5, None]) == "–"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0.0 s"), (59.96, "1 min 0 s"), (3599.7, "1 h 0 min")]
)
def test_durations_carry_over_into_the_next_unit(seconds: float, words: str) -> None:
    assert duration(seconds) == words
