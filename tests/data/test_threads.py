from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.data.prefetch import made_by_threads


@settings(deadline=None, max_examples=50)
@given(
    sizes=st.lists(st.integers(0, 70), max_size=8),
    workers=st.integers(1, 5),
    overlap=st.booleans(),
)
def test_every_row_of_every_batch_is_made_once_and_in_order(sizes, workers, overlap):
    ends = np.cumsum([0, *sizes])
    batches = [np.arange(start, stop) for start, stop in pairwise(ends)]
    made = list(made_by_threads(batches, lambda row: -row, workers=workers, overlap=overlap))
    assert [rows.tolist() for rows, _ in made] == [rows.tolist() for rows in batches]
    assert [values for _, values in made] == [(-rows).tolist() for rows in batches]


def test_in_turns_the_threads_rest_while_a_batch_is_consumed():
    begun = []
    batches = [np.arange(start, start + 30) for start in range(0, 300, 30)]
    made = made_by_threads(batches, begun.append, workers=2, overlap=False)
    counts = []
    for _ in made:
        counts.append(len(begun))
        threading.Event().wait(0.02)
        assert len(begun) == counts[-1], "a thread went on"
    assert counts == [90] * 3 + [180] * 3 + [270] * 3 + [300]


def test_in_turns_a_batch_comes_once_those_of_its_group_are_made():
    done, released = [], threading.Event()
    threading.Timer(0.1, released.set).start()

    def make(row: int) -> None:
        if row >= 30:
            released.wait(10)
        done.append(row)

    batches = [np.arange(start, start + 30) for start in range(0, 90, 30)]
    next(made_by_threads(batches, make, workers=2, overlap=False))
    assert len(done) == 90


def test_with_overlap_the_threads_go_on_while_a_batch_is_consumed():
    third = threading.Event()
    batches = [np.array([row]) for row in range(5)]

    def make(row: int) -> None:
        if row == 2:
            third.set()

    made = made_by_threads(batches, make, workers=1, overlap=True)
    next(made)
    assert third.wait(10)
    made.close()


@pytest.mark.parametrize("overlap", [True, False])
def test_an_error_comes_when_its_batch_is_due(overlap):
    def make(row: int) -> int:
        if row == 3:
            raise ValueError("three")
        return row

    batches = [np.array([0, 1]), np.array([2, 3])]
    made = made_by_threads(batches, make, workers=2, overlap=overlap)
    assert next(made)[1] == [0, 1]
    with pytest.raises(ValueError, match="three"):
        next(made)
