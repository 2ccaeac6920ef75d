"""Where each row lies: the names of all shards, merged and sorted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graft.cache.store.shard import Names, Numbers, Shard


class Index:
    """Finds rows by name, in 24 bytes per row.

    Args:
        shards: Of one entry. Where several hold a row, the first is taken.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.shards = tuple(shards)
        counts = [len(shard.names) for shard in shards]
        names = np.concatenate([np.empty((0, 2), dtype="<u8"), *(s.names for s in shards)])
        rows = np.concatenate(
            [np.empty(0, np.int32), *(np.arange(count, dtype=np.int32) for count in counts)]
        )
        order = np.argsort(names[:, 0], kind="stable")
        self._first, self._second = names[order, 0], names[order, 1]
        self._shard = np.repeat(np.arange(len(counts), dtype=np.int32), counts)[order]
        self._row = rows[order]

    def locate(self, names: Names) -> tuple[Numbers, Numbers]:
        """Return, for each name, the number of its shard, -1 for none, and its row in there."""
        if not len(self._first):
            return np.full(len(names), -1), np.zeros(len(names), dtype=np.int64)
        found = np.searchsorted(self._first, names[:, 0])
        found = np.minimum(found, len(self._first) - 1)
        # Two names with one first half would hide each other: at worst a row is made again.
        same = (self._first[found] == names[:, 0]) & (self._second[found] == names[:, 1])
        shard = np.where(same, self._shard[found], -1).astype(np.int64)
        return shard, self._row[found].astype(np.int64)
