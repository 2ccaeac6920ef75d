"""The probe's search inside a cold run, and the same command once more."""

from __future__ import annotations

import inspect
from pathlib import Path

from benchmarks.contest import in_turns, middle
from benchmarks.finding import Finding, Target
from benchmarks.place import Place
from benchmarks.process import Finished
from benchmarks.row import Row

NAME = "again"
FEWEST_CS, FEWEST_FOLDS = 20, 5


def findings(place: Place) -> list[Finding]:
    """Measure. Each round begins with an empty cache, which its second run finds filled."""
    caches: list[Path] = []

    def cold() -> Finished:
        caches.append(place.new_folder("cache"))
        return place.graft(cache=caches[-1])

    def pair() -> tuple[Finished, Finished]:
        return cold(), place.graft(cache=caches[-1])

    done = in_turns({"pair": pair}, place.repeat)["pair"]
    search = middle([first.said["seconds"]["train"] for first, _ in done])
    extract = middle([first.said["seconds"]["extract"] for first, _ in done])
    hit = middle([second.seconds for _, second in done])
    head = middle([second.said["seconds"]["train"] for _, second in done])
    beyond = middle([second.seconds - second.said["seconds"]["train"] for _, second in done])
    first_run = middle([first.seconds for first, _ in done])
    same = all(first.said["val_accuracy"] == second.said["val_accuracy"] for first, second in done)
    tried, folds = _searched()
    wide = tried >= FEWEST_CS and folds >= FEWEST_FOLDS
    return [
        Finding(
            NAME,
            "5",
            f"probe search ({tried} values of C x {folds} folds) / cold extraction",
            100 * search / extract,
            "%",
            Target("at most", 15.0) if wide else None,
            {"search": f"{search:.2f} s", "extraction": f"{extract:.2f} s"},
            "" if wide else f"fewer than {FEWEST_CS} values of C x {FEWEST_FOLDS} folds",
        ),
        Finding(
            NAME,
            "6",
            "the same command again, whole process without the head",
            beyond,
            "s",
            Target("at most", 3.0),
            {"cold": f"{first_run:.2f} s", "again": f"{hit:.2f} s", "its head": f"{head:.2f} s"},
            "" if same else "the second run's accuracy differed",
        ),
    ]


def _searched() -> tuple[int, int]:
    """Return how many values of C and folds Graft tries by default."""
    from graft.probe.solve import solve

    defaults = inspect.signature(solve).parameters
    return len(defaults["Cs"].default), int(defaults["folds"].default)


ROW = Row(NAME, "the probe's search, and the same command again", 0.2, findings)
