"""Libraries that talk while they work, kept from spoiling what a program prints."""

from __future__ import annotations

import ctypes
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

STDOUT = 1


@contextmanager
def silence() -> Iterator[None]:
    """Drop warnings, and whatever is written to standard output, from C++ too.

    It holds for the whole process, so nothing else should print in the meantime.

    Example:
        >>> with silence():
        ...     _ = os.write(STDOUT, b"a graph of 500 lines")
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            kept = os.dup(STDOUT)
        except OSError:  # a process without one
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        _flush()
        os.dup2(nowhere, STDOUT)
        try:
            yield
        finally:
            _flush()
            os.dup2(kept, STDOUT)
            os.close(kept)
            os.close(nowhere)


def _flush() -> None:
    """Empty Python's buffer and that of C, where it can be reached."""
    if sys.stdout is not None:
        sys.stdout.flush()
    if os.name == "posix":
        ctypes.CDLL(None).fflush(None)
