"""What this process may use, and what it spends: cores, memory, seconds."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def available_cores() -> int:
    """Return the number of cores the process is allowed to run on, at least one.

    Example:
        >>> available_cores() >= 1
        True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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


class Stopwatch:
    """Seconds by activity; those of an activity within another count for the inner one alone.

    Example:
        >>> watch = Stopwatch()
        >>> with watch("train"):
        ...     pass
        >>> sorted(watch.seconds(["data", "train"]))
        ['data', 'total', 'train']
    """

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._spent: dict[str, float] = {}
        self._within = 0.0

    @contextmanager
    def __call__(self, activity: str) -> Iterator[None]:
        """Add the time of a block to an activity."""
        started, outer = time.perf_counter(), self._within
        self._within = 0.0
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            self._spent[activity] = self._spent.get(activity, 0.0) + spent - self._within
            self._within = outer + spent

    def spent(self, activity: str) -> float:
        """Return the seconds of an activity so far."""
        return self._spent.get(activity, 0.0)

    def seconds(self, activities: list[str]) -> dict[str, float]:
        """Return `total` and the seconds of each activity so far, to the millisecond."""
        total = round(time.perf_counter() - self._started, 3)
        return {"total": total, **{name: round(self.spent(name), 3) for name in activities}}
