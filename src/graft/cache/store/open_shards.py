"""The shards of an entry as one process sees them, while others add and remove some."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from graft.cache.store.index import Index
from graft.cache.store.layout import FACTS, SHARD, listing
from graft.cache.store.shard import Damaged, Shard

SETTLED = 2_000_000_000
"""Nanoseconds after which a folder's time stamp surely differs if something was added."""

STAMPED = 60.0
"""Seconds between two stamps of the last use."""


class OpenShards:
    """Knows which shards there are now, and where in them each row lies.

    Args:
        folder: Of the entry, named by its key; it need not exist.
        size: Numbers per row.
        dtype: Of the numbers.
    """

    def __init__(self, folder: Path, size: int, dtype: np.dtype[Any]) -> None:
        self._folder = folder
        self._size = size
        self._dtype = dtype
        self._lock = threading.Lock()
        self._shards: dict[str, Shard] = {}
        self._shunned: set[str] = set()
        self._seen: int | None = None
        self._merged: Index | None = None
        self._stamped = -STAMPED

    def index(self) -> Index:
        """Return the index of the shards that there are now."""
        with self._lock:
            self._stamp()
            self._look()
            if self._merged is None:
                self._merged = Index(list(self._shards.values()))
            return self._merged

    def shun(self, shard: Shard, error: Exception) -> None:
        """Never use a shard again; remove it if it is damaged rather than gone or out of reach."""
        with self._lock:
            self._forget(shard.path.name)
            self._give_up(shard.path, error)

    def _look(self) -> None:
        """Open shards that have come, whoever wrote them, and forget those that have gone."""
        try:
            changed = self._folder.stat().st_mtime_ns
            if changed == self._seen:
                return
            settled = time.time_ns() - changed > SETTLED
            found = {item.name for item in listing(self._folder) if SHARD.fullmatch(item.name)}
        except OSError:
            changed, settled, found = 0, False, set()
        self._seen = changed if settled else None
        for name in self._shards.keys() - found:
            self._forget(name)
        for name in sorted(found - self._shards.keys() - self._shunned):
            path = self._folder / name
            try:
                self._shards[name] = Shard(path, self._folder.name, self._size, self._dtype)
                self._merged = None
            except (Damaged, OSError) as error:
                self._give_up(path, error)

    def _forget(self, name: str) -> None:
        self._shards.pop(name, None)
        self._merged = None

    def _give_up(self, path: Path, error: Exception) -> None:
        self._shunned.add(path.name)
        if isinstance(error, Damaged):
            with suppress(OSError):
                path.unlink()

    def _stamp(self) -> None:
        """Leave a sign of use for whoever must choose what to evict."""
        now = time.monotonic()
        if now - self._stamped >= STAMPED:
            self._stamped = now
            with suppress(OSError):
                os.utime(self._folder / FACTS)
