"""How many cores this process may use: the default number of decoding threads."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Return the number of cores the process is allowed to run on, at least one.

    Example:
        >>> available_cores() >= 1
        True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
