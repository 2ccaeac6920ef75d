"""Reading the bytes of an image file: a regular file of a sensible size, and nothing else."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

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
    """Why a source is not an image, in words that complete "cannot be read: ..."."""


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
