"""A row is found by its whole name, in the first shard that holds it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from graft.cache.store.index import Index


def holding(*names):
    return SimpleNamespace(names=np.array(names, dtype="<u8").reshape(-1, 2))


def located(index, *names):
    shard, row = index.locate(holding(*names).names)
    return [(int(s), int(r)) if s >= 0 else None for s, r in zip(shard, row, strict=True)]


def test_a_row_is_found_wherever_it_lies():
    index = Index([holding((5, 1), (2, 2)), holding((9, 9), (5, 1))])
    assert located(index, (2, 2), (9, 9), (5, 1), (7, 7)) == [(0, 1), (1, 0), (0, 0), None]


def test_half_a_name_is_not_enough():
    assert located(Index([holding((5, 1))]), (5, 2), (6, 1)) == [None, None]


def test_without_shards_nothing_is_found():
    assert located(Index([]), (5, 1)) == [None]
    assert located(Index([holding()])) == []
