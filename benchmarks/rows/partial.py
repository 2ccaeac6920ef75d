"""An epoch of `partial` on cached rows against the stages above the cut alone."""

from __future__ import annotations

from benchmarks.contest import in_turns, middle
from benchmarks.finding import Finding, Target
from benchmarks.place import Place
from benchmarks.row import Row

NAME = "partial"
STAGE = "stage4"
"""The first of the last two stages of `BACKBONE`."""


def findings(place: Place) -> list[Finding]:
    """Measure. Both halves of a round are in one process."""
    epochs = "1" if place.quick else "4"
    done = in_turns(
        {"both": lambda: place.inside("partial", "--stage", STAGE, "--epochs", epochs)},
        place.repeat,
    )
    cached = middle([middle(one.said["cached"]) for one in done["both"]])
    limit = middle([middle(one.said["limit"]) for one in done["both"]])
    return [
        Finding(
            NAME,
            "3",
            f"an epoch of partial from {STAGE}, cached / the suffix alone on tensors in memory",
            cached / limit,
            target=Target("at most", 1.15),
            medians={"cached epoch": f"{cached:.2f} s", "suffix alone": f"{limit:.2f} s"},
        )
    ]


ROW = Row(NAME, "a cached epoch against the suffix alone", 0.5, findings)
