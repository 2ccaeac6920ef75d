"""Where activations are kept: in memory for one run, on disk for later ones."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from hashlib import blake2b
from io import FileIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from graft.cache.store import (
    FACTS,
    SHARD,
    Store,
    key_of,
    open_regular,
    own_files,
    pack_header,
    read_header,
    write_atomically,
)

Values = NDArray[np.float32]
Mask = NDArray[np.bool_]
Names = NDArray[np.bytes_]
Indices = NDArray[np.int64]

FORMAT = 2
"""Part of every key: another format never meets these files."""

SHARD_BYTES = 32 << 20
"""Activations that are held back until there are so many bytes."""

ATTEMPTS = 5
"""How often a shard is written if other processes clear its folder away meanwhile."""

STAMPED = 60.0
"""Seconds between two stamps of the last use."""


class Adding(Protocol):
    """Takes activations by name."""

    def add(self, ids: Sequence[str], values: Values) -> object:
        """Keep activations (N, size)."""


class Storage(Protocol):
    """Activations by name."""

    def find(self, ids: Sequence[str]) -> Mask:
        """Say which are there."""

    def writer(self) -> AbstractContextManager[Adding]:
        """Return what activations are added to; they are found once it is closed."""

    def read(self, ids: Sequence[str]) -> tuple[Values, Mask]:
        """Return activations (N, size), NaN where there are none, and which of them are right."""


class MemoryStorage:
    """Keeps activations in memory until it is dropped.

    Args:
        size: Numbers per image.

    Example:
        >>> storage = MemoryStorage(2)
        >>> storage.add(["a:0", "b:0"], np.array([[1, 2], [3, 4]], dtype=np.float32))
        >>> storage.find(["b:0", "c:0"]).tolist()
        [True, False]
        >>> storage.read(["b:0"])[0].tolist()
        [[3.0, 4.0]]
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._values: dict[str, Values] = {}

    def find(self, ids: Sequence[str]) -> Mask:
        """Say which activations are there."""
        return np.array([name in self._values for name in ids], dtype=bool)

    def add(self, ids: Sequence[str], values: Values) -> None:
        """Keep copies of activations (N, size)."""
        self._values.update(zip(ids, values.copy(), strict=True))

    def writer(self) -> AbstractContextManager[MemoryStorage]:
        """Return the storage itself: what is added is found at once."""
        return nullcontext(self)

    def read(self, ids: Sequence[str]) -> tuple[Values, Mask]:
        """Return activations (N, size), NaN where there are none, and which of them are right."""
        there = self.find(ids)
        values = np.full((len(ids), self.size), np.nan, dtype=np.float32)
        for index in np.flatnonzero(there).tolist():
            values[index] = self._values[ids[index]]
        return values, there


class DiskStorage:
    """Keeps activations in a folder of safetensors files that threads and processes share.

    No error here ends a run: activations that cannot be read count as absent, and those that cannot
    be written are not kept. Nothing is written before the first activations are added.

    Args:
        store: The folder of all entries.
        facts: JSON values by name: everything but the image and the view that activations depend
            on. `graft cache ls` shows some of them.
        size: Numbers per image, at least one.

    Attributes:
        refused: Why nothing more is kept; None if there is no reason.

    Raises:
        TypeError: A fact is not of JSON.
        ValueError: A fact is not a finite number, or the size is less than 1.

    Example:
        >>> import tempfile
        >>> storage = DiskStorage(Store(tempfile.mkdtemp()), {"cut": "stage4"}, size=2)
        >>> storage.add(["a:0", "b:0"], np.array([[1, 2], [3, 4]], dtype=np.float32))
        True
        >>> values, right = storage.read(["b:0", "c:0", "a:0"])
        >>> right.tolist(), values[right].tolist()
        ([True, False, True], [[3.0, 4.0], [1.0, 2.0]])
    """

    def __init__(self, store: Store, facts: Mapping[str, Any], size: int) -> None:
        if size < 1:
            raise ValueError(f"Activations of {size} numbers cannot be kept.")
        self.document = {"format": FORMAT, "size": size, "dtype": "float32", "facts": dict(facts)}
        self.key = key_of(self.document)
        self.folder = store.root / self.key
        self.size = size
        self.refused: str | None = None
        store.in_use.add(self.key)
        self._lock = threading.Lock()
        self._index = _Index([])
        self._shunned: set[str] = set()
        self._stamped = -STAMPED

    def find(self, ids: Sequence[str]) -> Mask:
        """Say which activations are there. Damage may still be found when they are read."""
        return self._refreshed().locate(_names(ids))[0] >= 0

    def add(self, ids: Sequence[str], values: Values) -> bool:
        """Write activations as one shard; several threads and processes may do so at once.

        Args:
            ids: The names of the images; one that is there already is allowed.
            values: (N, size), float32.

        Returns:
            Whether they are kept. After one failure, such as a full disk, nothing is tried again.

        Raises:
            ValueError: The values have another shape or dtype.
        """
        self.check(ids, values)
        return self.add_parts(ids, [values])

    def add_parts(self, ids: Sequence[str], parts: Sequence[Values]) -> bool:
        """Write what `add` would write of the concatenated parts, which `check` let pass."""
        if len(ids) and self.refused is None:
            names = _names(ids).view(np.uint8)
            head = pack_header(len(ids), self.size)
            content: list[bytes | memoryview] = [head, *map(_bytes, parts), names.data]
            checksum = _seed(self.key)
            for part in content:
                checksum = zlib.crc32(part, checksum)
            # The file's own name ends in its checksum, so that no byte of it can change unnoticed.
            name = f"{uuid.uuid4().hex[:24]}{checksum:08x}.safetensors"
            try:
                self._write(name, content)
            except OSError as error:
                self.refused = f"'{self.folder}' cannot be written: {error.strerror or error}"
        return self.refused is None

    def check(self, ids: Sequence[str], values: Values) -> None:
        """Raise a `ValueError` if values have another shape or dtype than theirs must be."""
        if values.shape != (len(ids), self.size) or values.dtype != np.float32:
            raise ValueError(
                f"These activations are {values.shape} of {values.dtype}, not "
                f"{(len(ids), self.size)} of float32."
            )

    def read(self, ids: Sequence[str]) -> tuple[Values, Mask]:
        """Read activations, in any order and any number of times each.

        Returns:
            The values (N, size), and which of them are right (N). The others are not there, or were
            found damaged just now and removed; they are NaN.
        """
        wanted, index = _names(ids), self._index
        out = np.empty((len(ids), self.size), dtype="<f4")
        target = _bytes(out)
        shards, rows = index.locate(wanted)
        if (shards < 0).any():
            index = self._refreshed()
            shards, rows = index.locate(wanted)
        order = np.lexsort((rows, shards))
        damaged = []
        for places in np.split(order, np.flatnonzero(np.diff(shards[order])) + 1):
            if len(places) and shards[places[0]] >= 0:
                shard = index.shards[shards[places[0]]]
                try:
                    shard.read(rows[places], target, places)
                except (ValueError, OSError) as error:
                    self._drop(shard.path, error)
                    damaged.append(places)
        right = shards >= 0
        for places in damaged:  # another shard may hold the same images
            out[places], right[places] = self.read([ids[place] for place in places.tolist()])
        out[~right] = np.nan
        self._stamp()
        return out, right

    @contextmanager
    def writer(self) -> Iterator[Writer]:
        """Gather activations and write them in large shards, also those before an error."""
        writer = Writer(self)
        try:
            yield writer
        finally:
            writer.flush()

    def _write(self, name: str, content: Sequence[bytes | memoryview]) -> None:
        text = f"{json.dumps(self.document, indent=2)}\n".encode()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                if _content(self.folder / FACTS, len(text) + 1) != text:
                    write_atomically(self.folder / FACTS, [text])
                write_atomically(self.folder / name, content)
                break
            except FileNotFoundError:
                if attempt == ATTEMPTS:
                    raise

    def _refreshed(self) -> _Index:
        """Open the shards that any process has added, and drop those that were removed."""
        with self._lock:
            known = {shard.path.name: shard for shard in self._index.shards}
            found: list[str] = []
            with suppress(OSError):
                found = [name for name, _ in own_files(self.folder) if SHARD.fullmatch(name)]
            for name in found:
                if name not in known and name not in self._shunned:
                    try:
                        known[name] = Shard(self.folder / name, self.key, self.size)
                    except (ValueError, OSError) as error:
                        self._shun(self.folder / name, error)
            shards = [known[name] for name in found if name in known]
            if shards != self._index.shards:
                self._index = _Index(shards)
        self._stamp()
        return self._index

    def _drop(self, path: Path, error: Exception) -> None:
        with self._lock:
            self._shun(path, error)
            self._index = _Index([shard for shard in self._index.shards if shard.path != path])

    def _shun(self, path: Path, error: Exception) -> None:
        """Never use a shard again; remove it if it is damaged."""
        self._shunned.add(path.name)
        if isinstance(error, ValueError):
            with suppress(OSError):
                path.unlink()

    def _stamp(self) -> None:
        """Update the time stamp by which the least recently used entry is found."""
        now = time.monotonic()
        if now - self._stamped >= STAMPED:
            self._stamped = now
            with suppress(OSError):
                os.utime(self.folder / FACTS)


class Writer:
    """Adds activations to a `DiskStorage` in large shards. It belongs to one thread."""

    def __init__(self, storage: DiskStorage) -> None:
        self.storage = storage
        self._parts: list[tuple[Sequence[str], Values]] = []

    def add(self, ids: Sequence[str], values: Values) -> bool:
        """Take copies of activations (N, size); return False where nothing more is kept."""
        self.storage.check(ids, values)
        if self.storage.refused is None:
            self._parts.append((list(ids), values.copy()))
            if sum(part.nbytes for _, part in self._parts) >= SHARD_BYTES:
                self.flush()
        return self.storage.refused is None

    def flush(self) -> None:
        """Write what is held back, so that it can be found."""
        if self._parts:
            ids = [name for names, _ in self._parts for name in names]
            self.storage.add_parts(ids, [values for _, values in self._parts])
            self._parts = []  # after the writing, so that an interrupt loses nothing


class Shard:
    """A file of activations that is never changed: its names in memory, the rest on disk.

    It is read rather than mapped: a mapped file that is cut short kills the process, and mapped
    pages count as its memory.

    Args:
        path: The file.
        key: Of the entry that it must belong to.
        size: Numbers per image that it must have.

    Raises:
        ValueError: The file is no shard of so many numbers, or cut short.
        OSError: It is gone, cannot be read, or is no regular file.
    """

    def __init__(self, path: Path, key: str, size: int) -> None:
        self.path, self.key, self._width = path, key, 4 * size
        with open_regular(path) as file:
            self._start, count, width = read_header(file)
            if width != size:
                raise ValueError("The shard is of another entry.")
            self.names = np.empty(count, dtype="S16")
            _fill(file, self.names.view(np.uint8).data, self._start + count * self._width)
        self._proved = False

    def read(self, rows: Indices, out: memoryview, places: Indices) -> None:
        """Read the activations of some images, once the file has proved to be what was written.

        Args:
            rows: Which images of the shard, in ascending order.
            out: Where to put them, in bytes.
            places: The image of `out` for each of `rows`.

        Raises:
            ValueError: The file is damaged. Some of `out` is then wrong.
            OSError: The file is gone or cannot be read.
        """
        # Neighbours in the file that are neighbours in `out` are read in one go.
        cuts = np.flatnonzero((np.diff(rows) != 1) | (np.diff(places) != 1)) + 1
        firsts = np.concatenate([[0], cuts])
        targets = (places[firsts] * self._width).tolist()
        offsets = (rows[firsts] * self._width + self._start).tolist()
        lengths = (np.diff(firsts, append=len(rows)) * self._width).tolist()
        with open_regular(self.path) as file:
            if not self._proved:
                self._prove(file)
            for target, offset, length in zip(targets, offsets, lengths, strict=True):
                _fill(file, out[target : target + length], offset)

    def _prove(self, file: FileIO) -> None:
        found, buffer = _seed(self.key), memoryview(bytearray(1 << 20))
        file.seek(0)
        while got := file.readinto(buffer):
            found = zlib.crc32(buffer[:got], found)
        if f"{found:08x}" != self.path.stem[24:]:
            raise ValueError("The shard is damaged, or of another entry.")
        self._proved = True


class _Index:
    """Where each image lies: the names of all shards, merged and sorted; 24 bytes per image."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.shards = shards
        counts = [len(shard.names) for shard in shards]
        names = np.concatenate([np.empty(0, "S16"), *(shard.names for shard in shards)])
        order = np.argsort(names, kind="stable")  # where several hold an image, the first is taken
        self._names = names[order]
        self._shard = np.repeat(np.arange(len(counts), dtype=np.int32), counts)[order]
        self._row = order - np.cumsum([0, *counts])[self._shard]

    def locate(self, names: Names) -> tuple[Indices, Indices]:
        """Return, for each name, the number of its shard, -1 for none, and its place in there."""
        if not len(self._names):
            return np.full(len(names), -1), np.zeros(len(names), dtype=np.int64)
        found = np.minimum(np.searchsorted(self._names, names), len(self._names) - 1)
        shard = np.where(self._names[found] == names, self._shard[found], -1)
        return shard.astype(np.int64), self._row[found]


def _names(ids: Iterable[str]) -> Names:
    """Return 16 bytes for each id; two that meet by chance would need 2^64 images."""
    digests = (blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16) for name in ids)
    return np.frombuffer(b"".join(digest.digest() for digest in digests), dtype="S16")


def _seed(key: str) -> int:
    """Return where a checksum starts, so that a shard of another entry never passes."""
    return zlib.crc32(bytes.fromhex(key))


def _content(path: Path, most: int) -> bytes:
    with suppress(OSError), open_regular(path) as file:
        return file.read(most)
    return b""


def _bytes(values: Values) -> memoryview:
    return np.ascontiguousarray(values, dtype="<f4").reshape(-1).view(np.uint8).data


def _fill(file: FileIO, buffer: memoryview, offset: int) -> None:
    while len(buffer):
        if hasattr(os, "preadv"):
            got = os.preadv(file.fileno(), [buffer], offset)
        else:
            file.seek(offset)
            got = file.readinto(buffer)
        if not got:
            raise ValueError("The shard was cut short.")
        buffer, offset = buffer[got:], offset + got
