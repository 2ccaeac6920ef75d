"""The bytes of an image file: within limits, read once, and those that were hashed."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Condition
from typing import BinaryIO

from PIL import Image

from graft.data.manifest import Manifest, Sample
from graft.errors import DataError
from graft.machine import available_cores

BUDGET = 2 * 1024**3
"""Most bytes that all threads together hold while they decode; an image never gets more."""

MOST_PIXELS = 178_956_970
"""Most pixels of an image, Pillow's own limit: 512 MiB in three channels of 8 bits."""

MOST_SCANNED = 4_000_000_000
"""Most pixels that the scans of a JPEG go over. Ten scans, as encoders make them, of the largest
image are 1.8 billion; a thousand empty ones fit into a few kilobytes and take as long."""

_PER_PIXEL = 8
"""Bytes of the pixels as they are read, and of the result in RGB."""

_BESIDE = {"WEBP": 12, "AVIF": 12, "TIFF": 8}
"""Bytes per pixel that decoding takes beside these, as measured: frames before and after."""

_LARGEST_ICON = 1024
_SCAN = b"\xff\xda"
_BLOCK = 1 << 20


class Budget:
    """Memory that threads share: who would go beyond it waits until others are done.

    Args:
        limit: In bytes.

    Example:
        >>> budget = Budget(100)
        >>> with budget.taking(80):
        ...     budget.taken
        80
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0
        self._freed = Condition()

    @contextmanager
    def taking(self, need: int) -> Iterator[None]:
        """Hold some bytes, at most the limit, once they are free. Never take twice at a time."""
        with self._freed:
            self._freed.wait_for(lambda: self.taken + need <= self.limit)
            self.taken += need
        try:
            yield
        finally:
            with self._freed:
                self.taken -= need
                self._freed.notify_all()


def decoding_budget() -> Budget:
    """Return the budget of all threads of this process."""
    return _budget_of(os.getpid())


@cache
def _budget_of(process: int) -> Budget:
    """Return a budget for a process: a fork begins its own, as its parent's threads are gone."""
    return Budget(BUDGET)


def needed(image: Image.Image, whole: tuple[int, int], file: BinaryIO | None = None) -> int:
    """Estimate the bytes that decoding takes beside the encoded ones.

    Args:
        image: Opened, its reduction set, and not yet loaded.
        whole: Width and height before the reduction.
        file: The file it was opened from, where Pillow left it after the header.

    Raises:
        UnreadableError: A JPEG's scans go over too many pixels.

    Example:
        >>> needed(Image.new("RGB", (1000, 1000)), (1000, 1000))
        8000000
    """
    width, height = image.size
    beside = _BESIDE.get(image.format or "", 0) * width * height
    if image.format in ("JPEG", "MPO") and file is not None:
        scans, pixels = _scans(image, file), whole[0] * whole[1]
        if scans * pixels > MOST_SCANNED:
            raise UnreadableError(
                f"{scans:,} scans of {pixels:,} pixels each; {MOST_SCANNED:,} in all are the most"
            )
        # Coefficients of 16 bits are kept for the whole image until its last scan is there.
        beside = 2 * len(image.getbands()) * pixels if scans > 1 else 0
    elif image.format == "JPEG2000":
        beside = 6 * len(image.getbands()) * width * height
    return beside + _PER_PIXEL * width * height


def require_pixels(image: Image.Image) -> None:
    """Refuse an image with too many pixels, from its header.

    Raises:
        UnreadableError: There are more than `MOST_PIXELS`.
    """
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise UnreadableError(
            f"{width:,} x {height:,} pixels, too large: {MOST_PIXELS:,} are the most"
        )


def require_memory(need: int) -> None:
    """Refuse an image that takes more memory than all threads may.

    Raises:
        UnreadableError: It is more than `BUDGET`.
    """
    if need > BUDGET:
        raise UnreadableError(
            f"decoding it takes {need / 1024**3:.1f} GiB, too large: {BUDGET // 1024**3} GiB are "
            "the most"
        )


def require_icon(file: BinaryIO) -> None:
    """Refuse an icon with a large image inside: Pillow decodes icons as soon as it opens them.

    Args:
        file: At its beginning, where it is left.

    Raises:
        UnreadableError: A side has more than 1,024 pixels.
    """
    if file.read(4) == b"\0\0\1\0":
        for number in range(int.from_bytes(file.read(2), "little")):
            file.seek(6 + 16 * number + 12)
            file.seek(int.from_bytes(file.read(4), "little"))
            header = file.read(24)
            layout, begin = (">II", 16) if header.startswith(b"\x89PNG") else ("<II", 4)
            width, height = struct.unpack_from(layout, header.ljust(24, b"\0"), begin)
            if max(width, height) > 2 * _LARGEST_ICON:  # twice: colours above, transparency below
                raise UnreadableError(f"an icon of {width:,} x {height:,} pixels, too large")
    file.seek(0)


def _scans(image: Image.Image, file: BinaryIO) -> int:
    """Count the scans of a JPEG; those after one that is complete are never read."""
    bands = len(image.getbands())
    begin = 8 + 2 * bands  # of the first scan: marker, length, the components' number and tables
    file.seek(max(0, file.tell() - begin))
    header = file.read(begin)
    complete = header.startswith(_SCAN) and header[4:5] == bytes([bands])
    if complete and not image.info.get("progressive"):
        return 1
    count, last = 1, b""
    while block := file.read(_BLOCK):
        count += (last + block).count(_SCAN)  # within coded pixels, a marker is a marker
        last = block[-1:]
    return count


LARGEST_FILE = 512 * 1024**2
"""Most bytes of an image file: as many as the largest image has in 8 bits without compression."""

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class UnreadableError(Exception):
    """Why a source is not an image, as the end of a sentence "cannot be read: ..."."""


@contextmanager
def regular_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a regular file of at most `LARGEST_FILE` bytes.

    Pipes, sockets and devices are not opened: reading one may block for ever or never end.

    Raises:
        UnreadableError: There is no such file, it is of another kind or too large, or the system
            refuses to read it.

    Example:
        >>> with regular_file("/") as file:
        ...     pass
        Traceback (most recent call last):
        graft.data.read.UnreadableError: a folder, not a regular file
    """
    try:
        _require_regular(Path(path).stat())
        # Without waiting, should a pipe have taken the file's place since.
        descriptor = os.open(path, os.O_RDONLY | _flag("O_NONBLOCK") | _flag("O_BINARY"))
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor has no path
            _require_regular(os.fstat(descriptor))
            yield file
    except FileNotFoundError as error:
        raise UnreadableError("no such file") from error
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte in it
        raise UnreadableError(_words(error)) from error


def require_size(size: int) -> None:
    """Refuse encoded bytes that are too many to be an image.

    Raises:
        UnreadableError: There are more than `LARGEST_FILE`.
    """
    if size > LARGEST_FILE:
        raise UnreadableError(
            f"{size / 1024**2:,.0f} MiB large, where {LARGEST_FILE // 1024**2} MiB are the most"
        )


def _require_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise UnreadableError(f"{kind}, not a regular file")
    require_size(status.st_size)


def _flag(name: str) -> int:
    """Return a flag of `os.open`, 0 where the platform lacks it."""
    return int(getattr(os, name, 0))


def _words(error: OSError | ValueError) -> str:
    strerror = error.strerror if isinstance(error, OSError) else None
    return (strerror or str(error)).lower()


_NAMED = 3


def require_unchanged(manifest: Manifest) -> None:
    """Compare the content of every readable sample's file with the hash in the table.

    Args:
        manifest: As a run's `split.csv` holds it.

    Raises:
        DataError: Files have changed or are gone; the first few are named.

    Example:
        >>> gone = Sample("/photos/ant.jpg", "ants", "train", sha256="ab")
        >>> try:
        ...     require_unchanged(Manifest((gone,), "/photos"))
        ... except DataError as error:
        ...     print(error.problem)
        1 of 1 images of this run changed since it began: '/photos/ant.jpg' (no such file).
    """
    known = [sample for sample in manifest.readable if sample.sha256]
    with ThreadPoolExecutor(available_cores()) as pool:
        found = list(zip(known, pool.map(_difference, known), strict=True))
    wrong = [f"'{sample.path}' ({difference})" for sample, difference in found if difference]
    if wrong:
        more = [f"{len(wrong) - _NAMED:,} more"] if len(wrong) > _NAMED else []
        raise DataError(
            f"{len(wrong):,} of {len(known):,} images of this run changed since it began: "
            f"{', '.join(wrong[:_NAMED] + more)}.",
            "Put the original files back, or start a new run in another --out.",
        )


def _difference(sample: Sample) -> str:
    """Return how a file differs from its sample, "" if it does not."""
    digest = hashlib.sha256()
    try:
        with regular_file(sample.path) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except UnreadableError as error:
        return str(error)
    return "" if digest.hexdigest() == sample.sha256 else "other content"
