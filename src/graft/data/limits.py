"""What decoding one image may cost, and what all threads together may take at once."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Condition
from typing import BinaryIO

from PIL import Image

from graft.data.read import UnreadableError

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
        image: Opened, told how far to reduce itself, and not yet loaded.
        whole: Width and height that it had before it was told so.
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
