"""The store: rows of numbers on disk, found by everything that determines them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graft.cache.store import housekeeping
from graft.cache.store.entry import Entry
from graft.cache.store.keys import key_of

FORMAT = 1
"""Part of every key: another format never meets these files."""


class Store:
    """A folder of entries that several processes may share.

    Nothing is touched before the first row is added, and nothing that fails here fails a run.

    Args:
        root: The folder, such as `graft.user_cache.feature_cache()`; it need not exist.

    Example:
        >>> import tempfile
        >>> store = Store(tempfile.mkdtemp())
        >>> entry = store.entry({"backbone": "resnet18", "cut": "stage4", "seed": 0}, size=512)
        >>> entry.find(["image:0"]).tolist(), store.usage()
        ([False], 0)
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        self._entries: dict[str, Entry] = {}

    def entry(
        self, facts: Mapping[str, Any], size: int, dtype: np.typing.DTypeLike = "float32"
    ) -> Entry:
        """Return the entry of rows that these facts determine; it may be empty.

        Args:
            facts: JSON values by name: everything but the image and the view that a row depends
                on. `graft cache ls` shows "backbone", "cut", "kind" and "augmentation".
            size: Numbers per row, at least one.
            dtype: Of the numbers: integers, floating point or booleans.

        Raises:
            TypeError: A fact is not of JSON.
            ValueError: A fact is not a finite number, the size is none, or the dtype is another.
        """
        kind = np.dtype(dtype)
        if size < 1 or kind.kind not in "biufc":
            raise ValueError(f"Rows of {size} numbers of {kind} cannot be kept.")
        document = {"format": FORMAT, "size": size, "dtype": kind.str, "facts": dict(facts)}
        key = key_of(document)
        if key not in self._entries:
            self._entries[key] = Entry(self.root / key, document, size, kind)
        return self._entries[key]

    def room(self) -> int:
        """Return the bytes that the entries given out may still grow by, once others made way."""
        return max(0, self.limit() - housekeeping.usage(self.root, only=self._entries))

    def make_room(self, needed: int) -> bool:
        """Evict what is least recently used until so many bytes fit below the limit.

        Returns:
            Whether they fit; if they do not, nothing was evicted.
        """
        if needed > self.room():
            return False
        self.evict(self.limit() - needed)
        return True

    def usage(self) -> int:
        """Return the bytes that all entries take."""
        return housekeeping.usage(self.root)

    def limit(self) -> int:
        """Return the bytes that they should take at most: see `housekeeping.default_limit`."""
        return housekeeping.default_limit(self.root)

    def evict(self, limit_bytes: int | None = None) -> int:
        """Remove the least recently used entries until the rest is within a limit.

        Entries that this store has given out stay. Crashed processes' rests go in any case.

        Args:
            limit_bytes: None takes `limit()`.

        Returns:
            The bytes that were freed.
        """
        most = self.limit() if limit_bytes is None else limit_bytes
        return housekeeping.evict(self.root, most, keep=self._entries)
