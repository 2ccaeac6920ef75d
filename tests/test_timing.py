"""Promises of the stopwatch."""

from __future__ import annotations

from contextlib import suppress

import pytest

from graft import machine as timing


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves."""
    now = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])

    def move(seconds):
        now[0] += seconds

    return move


def test_an_activity_within_another_counts_once(clock):
    watch = timing.Stopwatch()
    with watch("train"):
        clock(1)
        with watch("extract"):
            clock(10)
            with watch("data"):
                clock(100)
        clock(2)
        with watch("extract"):
            clock(20)
    assert watch.seconds(["train", "extract", "data"]) == {
        "total": 133,
        "train": 3,
        "extract": 30,
        "data": 100,
    }


def test_time_spent_before_an_error_counts(clock):
    watch = timing.Stopwatch()
    with suppress(ValueError), watch("train"), watch("data"):
        clock(5)
        raise ValueError
    assert (watch.spent("data"), watch.spent("train")) == (5, 0)
