"""An entry of the cache: all rows that the same facts determine, found by the names of images."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from graft.cache.store.keys import names
from graft.cache.store.layout import FACTS, write_whole
from graft.cache.store.open_shards import OpenShards
from graft.cache.store.shard import Damaged, Numbers, Rows, as_names, write_shard

if TYPE_CHECKING:
    from graft.cache.store.writer import Writer

ATTEMPTS = 5
"""How often a shard is written if other processes clear its folder away meanwhile."""


class Entry:
    """Rows on disk, shared by threads and processes. `Store.entry` makes it.

    Nothing here fails a run: what cannot be read is not there, what cannot be written is left.

    Args:
        folder: Named by the key; made when the first rows are added.
        document: What the key stands for, written beside the rows for people.
        size: Numbers per row.
        dtype: Of the numbers.

    Attributes:
        refused: Why nothing more is kept, in words; None while all is well.

    Example:
        >>> import tempfile
        >>> from graft.cache.store.store import Store
        >>> entry = Store(tempfile.mkdtemp()).entry({"cut": "stage4"}, size=2)
        >>> entry.add(["a:0", "b:0"], np.array([[1, 2], [3, 4]], dtype=np.float32))
        True
        >>> rows, right = entry.read(["b:0", "c:0", "a:0"])
        >>> right.tolist(), rows[right].tolist()
        ([True, False, True], [[3.0, 4.0], [1.0, 2.0]])
    """

    def __init__(
        self, folder: Path, document: Mapping[str, Any], size: int, dtype: np.dtype[Any]
    ) -> None:
        self.folder = folder
        self.size = size
        self.dtype = dtype
        self.refused: str | None = None
        self._document = document
        self._shards = OpenShards(folder, size, dtype)

    @property
    def key(self) -> str:
        """The name of the folder, which stands for all that determines the rows."""
        return self.folder.name

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.size * self.dtype.itemsize

    def find(self, ids: Sequence[str]) -> NDArray[np.bool_]:
        """Say which rows are there. Damage may still be found in some when they are read."""
        shard, _ = self._shards.index().locate(as_names(names(ids)))
        return shard >= 0

    def add(self, ids: Sequence[str], rows: Rows) -> bool:
        """Write rows as one shard; several threads and processes may do so at once.

        Args:
            ids: What the rows will be found by. One that is there already does no harm.
            rows: (N, size), of the entry's dtype.

        Returns:
            Whether they are kept. After one refusal, of a full disk say, nothing is tried again.

        Raises:
            ValueError: The rows have another shape or dtype.
        """
        self.check(ids, rows)
        if self.refused is not None:
            return False
        if len(ids):
            try:
                self._write(names(ids), np.ascontiguousarray(rows))
            except OSError as error:
                self.refused = f"'{self.folder}' cannot be written: {error.strerror or error}"
                return False
        return True

    def read(self, ids: Sequence[str], out: Rows | None = None) -> tuple[Rows, NDArray[np.bool_]]:
        """Read rows, in any order and any number of times each.

        Args:
            ids: Names of rows.
            out: Where to put them: (N, size), contiguous, of the entry's dtype; None makes it.

        Returns:
            The rows (N, size), and which of them are right (N). The others are not there, or were
            found damaged just now and removed; they are filled with NaN, or 0 for integers.

        Raises:
            ValueError: `out` has another shape or dtype, or is not contiguous.
        """
        if out is None:
            out = np.empty((len(ids), self.size), dtype=self.dtype)
        self.check(ids, out)
        if not out.flags.c_contiguous:
            raise ValueError("out is not contiguous.")
        wanted = as_names(names(ids))
        right = np.zeros(len(ids), dtype=bool)
        left: Numbers = np.arange(len(ids))
        while len(left):
            index = self._shards.index()
            shard, row = index.locate(wanted[left])
            again = []
            for number, some in _by_shard(shard, row):
                try:
                    index.shards[number].read(row[some], out, left[some])
                    right[left[some]] = True
                except (Damaged, OSError) as error:
                    self._shards.shun(index.shards[number], error)
                    again.append(left[some])
            # Another shard may hold the rows of a damaged one as well.
            left = np.concatenate(again) if again else left[:0]
        out[~right] = np.nan if self.dtype.kind in "fc" else 0
        return out, right

    def writer(self) -> Writer:
        """Return a context manager that gathers rows and writes them in large shards."""
        from graft.cache.store.writer import Writer

        return Writer(self)

    def check(self, ids: Sequence[str], rows: Rows) -> None:
        """Raise a `ValueError` if rows do not fit their names or this entry."""
        if rows.shape != (len(ids), self.size) or rows.dtype != self.dtype:
            raise ValueError(
                f"These rows are {rows.shape} of {rows.dtype}, not {(len(ids), self.size)} of "
                f"{self.dtype}."
            )

    def _write(self, row_names: bytes, rows: Rows) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._describe()
                write_shard(self.folder, self.key, row_names, rows)
                return
            except FileNotFoundError:
                if attempt == ATTEMPTS:
                    raise

    def _describe(self) -> None:
        """Say what the rows are in a file beside them, unless it says so already."""
        path = self.folder / FACTS
        text = f"{json.dumps(self._document, indent=2)}\n".encode()
        try:
            described = path.read_bytes() == text
        except FileNotFoundError:
            described = False
        if not described:
            write_whole(path, [text])


def _by_shard(shard: Numbers, row: Numbers) -> Iterator[tuple[int, Numbers]]:
    """Yield each shard with the positions of what it holds, in the order of its rows."""
    order = np.lexsort((row, shard))
    for some in np.split(order, np.flatnonzero(np.diff(shard[order])) + 1):
        if len(some) and shard[some[0]] >= 0:
            yield int(shard[some[0]]), some
