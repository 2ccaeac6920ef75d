"""How much memory there is, and how much of it is free."""

from __future__ import annotations

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")
UNKNOWN = 4 * 1024**3


def total_memory() -> int:
    """Return the memory of the machine or of the container it is, in bytes.

    Example:
        >>> total_memory() > 0
        True
    """
    try:
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        physical = UNKNOWN
    return min(physical, _limit() or physical)


def available_memory() -> int:
    """Return the bytes that could be taken without pushing anything out; a guess where unknown.

    Example:
        >>> 0 < available_memory() <= total_memory()
        True
    """
    total, limit = total_memory(), _limit()
    free = total // 2
    try:
        fields = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        free = int(fields["MemAvailable"].split()[0]) * 1024
        if limit:
            free = min(free, limit - int((CGROUP / "memory.current").read_text()))
    except (OSError, KeyError, ValueError):  # another system, or no cgroup
        pass
    return max(1, min(free, total))


def _limit() -> int | None:
    """Return what a container may take; None if it is no container or has no limit."""
    try:
        return int((CGROUP / "memory.max").read_text())
    except (OSError, ValueError):
        return None
