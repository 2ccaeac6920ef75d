"""A shard: rows that were written together, in one file that is never changed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graft.cache.store.header import ALIGNMENT, HEADER_BYTES, SUM_BYTES, Header
from graft.cache.store.keys import NAME_BYTES
from graft.cache.store.layout import fresh_shard, write_whole
from graft.cache.store.positional import read_into

Rows = NDArray[Any]
Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]
Names = NDArray[np.uint64]

BLOCK_BYTES = 4 << 20
"""About so many bytes share a checksum, so that few rows are read without reading the shard."""


class Damaged(Exception):
    """A file that is no shard of this entry, or no longer."""


class Shard:
    """An open shard: its header and names in memory, its rows on disk.

    Args:
        path: The file.
        key: Of the entry that it must belong to.
        size: Numbers per row that it must have.
        dtype: Of the numbers that it must have.

    Raises:
        Damaged: The file is cut short, changed, or of another entry.
        OSError: What the system says.
    """

    def __init__(self, path: Path, key: str, size: int, dtype: np.dtype[Any]) -> None:
        self.path = path
        with FileIO(path) as file:
            head = _read(file, HEADER_BYTES)
            try:
                header = Header.unpack(head)
            except ValueError as error:
                raise Damaged(f"{path.name} does not begin as a shard") from error
            if (header.key, header.size, header.dtype) != (key, size, dtype.str):
                raise Damaged(f"{path.name} holds rows of another entry")
            # Before anything is allocated for as many rows as the header claims.
            if path.stat().st_size != header.file_bytes:
                raise Damaged(f"{path.name} is cut short or too long")
            rest = _read(file, header.checked_bytes - HEADER_BYTES + SUM_BYTES)
        checked = head + rest[:-SUM_BYTES]
        if zlib.crc32(checked) != int.from_bytes(rest[-SUM_BYTES:], "little"):
            raise Damaged(f"{path.name} has a damaged header")
        self.header = header
        names = header.rows * NAME_BYTES
        self.names = as_names(rest[:names])
        self._sums = np.frombuffer(rest[names:-SUM_BYTES], dtype="<u4")
        self._right = np.zeros(header.blocks, dtype=bool)

    def read(self, rows: Numbers, out: Rows, places: Numbers) -> None:
        """Read rows; blocks that were not read before are compared with their checksums.

        Args:
            rows: Which rows of the shard, in ascending order.
            out: Where to put them: (N, size), contiguous.
            places: The row of `out` for each of `rows`.

        Raises:
            Damaged: The file no longer holds what was written. Some of `out` is then wrong.
            OSError: The file is gone or cannot be read.
        """
        target = out.view(np.uint8)
        block = rows // self.header.block
        right = self._right[block]
        try:
            with FileIO(self.path) as file:
                if not right.all():
                    for number in np.unique(block[~right]).tolist():
                        chosen = slice(*np.searchsorted(block, [number, number + 1]))
                        self._read_block(file, number, rows[chosen], target, places[chosen])
                    rows, places = rows[right], places[right]
                self._read_rows(file, rows, target, places)
        except EOFError as error:
            raise Damaged(f"{self.path.name} was cut short") from error

    def _read_block(
        self, file: FileIO, number: int, rows: Numbers, target: Bytes, places: Numbers
    ) -> None:
        """Read a whole block, prove it right, and keep of it what is wanted."""
        header = self.header
        first = number * header.block
        count = min(header.block, header.rows - first)
        # Read in order, as most often, a block needs no copy.
        whole = len(rows) == count and _ascends(rows) and _ascends(places)
        room = (
            target[places[0] : places[0] + count]
            if whole
            else np.empty((count, header.row_bytes), dtype=np.uint8)
        )
        read_into(file, [room.reshape(-1).data], header.start + first * header.row_bytes)
        if zlib.crc32(room.data) != self._sums[number]:
            raise Damaged(f"{self.path.name} has a damaged block")
        if not whole:
            target[places] = room[rows - first]
        self._right[number] = True

    def _read_rows(self, file: FileIO, rows: Numbers, target: Bytes, places: Numbers) -> None:
        """Read rows of blocks that were right before, neighbours in one go."""
        width, start = self.header.row_bytes, self.header.start
        flat = target.reshape(-1).data
        for row, pieces in _neighbours(rows.tolist(), places.tolist()):
            buffers = [flat[first * width : end * width] for first, end in pieces]
            read_into(file, buffers, start + row * width)


def write_shard(folder: Path, key: str, names: bytes, rows: Rows) -> Path:
    """Write rows as a new shard; it is there as a whole or not at all.

    Args:
        folder: Of the entry; it exists.
        key: Of the entry.
        names: What `graft.cache.store.keys.names` gives for the rows.
        rows: (N, size), contiguous, N and size at least one.

    Raises:
        OSError: What the system says.
    """
    count, size = rows.shape
    block = max(1, BLOCK_BYTES // (size * rows.itemsize))
    header = Header(key, count, size, rows.dtype.str, block)
    data = rows.view(np.uint8).reshape(-1).data
    step = block * header.row_bytes
    sums = np.array(
        [zlib.crc32(data[first : first + step]) for first in range(0, len(data), step)], dtype="<u4"
    )
    checked = header.pack() + names + sums.tobytes()
    head = checked + zlib.crc32(checked).to_bytes(SUM_BYTES, "little")
    path = fresh_shard(folder)
    write_whole(path, [head + bytes(-len(head) % ALIGNMENT), data])
    return path


def as_names(names: bytes) -> Names:
    """Return names of rows as pairs of numbers (N, 2)."""
    return np.frombuffer(names, dtype="<u8").reshape(-1, NAME_BYTES // 8)


def _read(file: FileIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise Damaged(f"{file.name} is cut short")
    return data


def _ascends(numbers: Numbers) -> bool:
    return bool((np.diff(numbers) == 1).all())


def _neighbours(
    rows: Sequence[int], places: Sequence[int]
) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Yield the first of each run of neighbouring rows, and the slices where the run belongs.

    Example:
        >>> list(_neighbours([3, 4, 5, 9], [0, 1, 7, 2]))
        [(3, [(0, 2), (7, 8)]), (9, [(2, 3)])]
    """
    first, expected, pieces = 0, -1, list[tuple[int, int]]()
    for row, place in zip(rows, places, strict=True):
        if row != expected:
            if pieces:
                yield first, pieces
            first, pieces = row, [(place, place + 1)]
        elif pieces[-1][1] == place:
            pieces[-1] = (pieces[-1][0], place + 1)
        else:
            pieces.append((place, place + 1))
        expected = row + 1
    if pieces:
        yield first, pieces
