"""Gathering rows as they are made, a batch at a time, into shards worth a file."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from graft.cache.store.shard import Rows

if TYPE_CHECKING:
    from graft.cache.store.entry import Entry

SHARD_BYTES = 32 << 20
"""Rows that are held back until there are so many bytes."""


class Writer:
    """Adds rows to an entry in large shards; what was added is written even if the block fails.

    It belongs to one thread.

    Args:
        entry: Where rows are kept.
        shard_bytes: About the size of a shard, and of the memory used.

    Example:
        >>> import tempfile
        >>> from graft.cache.store.store import Store
        >>> entry = Store(tempfile.mkdtemp()).entry({"cut": "stage4"}, size=2)
        >>> with entry.writer() as writer:
        ...     for image in range(3):
        ...         _ = writer.add([f"{image}:0"], np.full((1, 2), image, dtype=np.float32))
        >>> entry.find(["0:0", "1:0", "2:0"]).tolist()
        [True, True, True]
    """

    def __init__(self, entry: Entry, shard_bytes: int = SHARD_BYTES) -> None:
        self.entry = entry
        self._most = max(1, shard_bytes // entry.row_bytes)
        self._ids: list[str] = []
        self._rows: Rows | None = None

    def __enter__(self) -> Writer:
        """Return the writer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what is held back, also after an error."""
        self.flush()

    def add(self, ids: Sequence[str], rows: Rows) -> bool:
        """Take rows (N, size); return False where the entry keeps nothing more.

        Raises:
            ValueError: The rows have another shape or dtype than the entry's.
        """
        self.entry.check(ids, rows)
        if self._rows is None:
            self._rows = np.empty((self._most, self.entry.size), dtype=self.entry.dtype)
        done = 0
        while done < len(ids) and self.entry.refused is None:
            held = len(self._ids)
            some = slice(done, done + self._most - held)
            taken = list(ids[some])
            self._rows[held : held + len(taken)] = rows[some]
            # Last, so that an interrupt leaves only rows that are complete.
            self._ids += taken
            done += len(taken)
            if len(self._ids) == self._most:
                self._write()
        return self.entry.refused is None

    def flush(self) -> bool:
        """Write what is held back, so that it can be found; return whether all is kept."""
        self._write()
        self._rows = None
        return self.entry.refused is None

    def _write(self) -> None:
        if self._rows is not None:
            self.entry.add(self._ids, self._rows[: len(self._ids)])
        self._ids = []
