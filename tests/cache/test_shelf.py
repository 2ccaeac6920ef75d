"""Promises of a shelf in memory."""

from __future__ import annotations

import numpy as np

from graft.cache.shelf import MemoryShelf


def test_what_is_added_is_found_and_the_rest_is_said_to_be_missing():
    shelf, rows = MemoryShelf(2), np.array([[1, 2], [3, 4]], dtype=np.float32)
    with shelf.writer() as writer:
        writer.add(["a:0", "a:1"], rows)
    rows[:] = 9  # the caller's buffer is used again
    read, right = shelf.read(["a:1", "b:0", "a:0"])
    assert right.tolist() == [True, False, True]
    assert read.tolist() == [[3, 4], [0, 0], [1, 2]]
