"""Reading the bytes at a place of a file into buffers that lie apart.

Rows are read rather than mapped, because mapped pages count as the process's memory: with a cache
larger than memory, the system would have to guess which of them to drop.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from io import FileIO

PREADV = hasattr(os, "preadv")
"""Whether the platform reads into several buffers at once; else each is read on its own."""

MOST = 512
"""Buffers per call of the system, which takes 1,024 on most platforms."""


def read_into(file: FileIO, buffers: Sequence[memoryview], offset: int) -> None:
    """Fill buffers, one after the other, with the bytes of a file from `offset` on.

    Args:
        file: Open for reading, unbuffered.
        buffers: Of bytes, contiguous.
        offset: In bytes from the beginning of the file.

    Raises:
        EOFError: The file ends too early.
        OSError: What the system says.
    """
    for first in range(0, len(buffers), MOST):
        part = buffers[first : first + MOST]
        wanted = sum(map(len, part))
        got = os.preadv(file.fileno(), part, offset) if PREADV else 0
        if got < wanted:
            _read_rest(file, part, offset, got)
        offset += wanted


def _read_rest(file: FileIO, buffers: Sequence[memoryview], offset: int, done: int) -> None:
    """Read on, piece by piece, after `done` bytes: a call may return less than it was asked for."""
    file.seek(offset + done)
    for buffer in buffers:
        left = buffer[done:]
        done = max(0, done - len(buffer))
        while len(left):
            got = file.readinto(left)
            if not got:
                raise EOFError(f"{file.name!r} ends too early")
            left = left[got:]
