"""Beside busy neighbours: what training and evaluation lose to processes that keep a core busy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.contest import in_turns, middle
from benchmarks.finding import Finding, Target
from benchmarks.place import Place
from benchmarks.row import Row

NAME = "busy"
MOST_LOST_WHEN_QUIET = 1.05
MOST_OF_THE_FAIR_SHARE = 1.3
SPINNING = {"GOMP_SPINCOUNT": "300000"}
"""As libgomp waits where nobody says anything: threads turn in a loop before they sleep."""

_LONGEST = 1200.0  # seconds after which a neighbour ends by itself
_NEIGHBOUR = f"import time\nend = time.time() + {_LONGEST}\nwhile time.time() < end: pass"


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """Keep so many cores busy meanwhile."""
    running = [subprocess.Popen([sys.executable, "-c", _NEIGHBOUR]) for _ in range(count)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def findings(place: Place) -> list[Finding]:
    """Measure."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert cores is not None
    flags = ("--strategy", "full", "--epochs", "2", "--cache", "off")
    contestants = {"quiet": (0, None), "quiet, spinning": (0, SPINNING)}
    for count in (1, 2):
        contestants[f"{count} busy"] = (count, None)

    def measured(count: int, settings: dict[str, str] | None) -> dict[str, float]:
        with neighbours(count):
            seconds: dict[str, float] = place.graft(*flags, settings=settings).said["seconds"]
        return seconds

    runs = in_turns(
        {name: lambda how=how: measured(*how) for name, how in contestants.items()}, place.repeat
    )
    found = []
    for part in ("train", "extract"):
        spent = {name: middle([one[part] for one in done]) for name, done in runs.items()}
        medians = {name: f"{seconds:.2f} s" for name, seconds in spent.items()}
        found.append(
            Finding(
                NAME,
                "",
                f"{part}: quiet / quiet with threads that spin",
                spent["quiet"] / spent["quiet, spinning"],
                target=Target("at most", MOST_LOST_WHEN_QUIET),
                medians=medians,
            )
        )
        for count in (1, 2):
            share = cores / (cores + count)
            found.append(
                Finding(
                    NAME,
                    "",
                    f"{part} beside {count} busy process{'es' * (count > 1)} / its fair share",
                    spent[f"{count} busy"] / spent["quiet"] * share,
                    target=Target("at most", MOST_OF_THE_FAIR_SHARE),
                    medians=medians,
                    note=f"the fair share is {share:.0%} of {cores} cores",
                )
            )
    return found


ROW = Row(NAME, "training and extraction beside busy processes", 6.0, findings, once=True)
