"""Where the time of a run went."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


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
