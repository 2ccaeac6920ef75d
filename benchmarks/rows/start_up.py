"""How long a person waits for the help, and for the first batch."""

from __future__ import annotations

from benchmarks.contest import in_turns, middle
from benchmarks.finding import Finding, Target
from benchmarks.place import Place
from benchmarks.row import Row

NAME = "start-up"


def findings(place: Place) -> list[Finding]:
    """Measure."""
    done = in_turns(
        {
            "help": lambda: place.command("--help"),
            "batch": lambda: place.inside("first_batch"),
        },
        place.repeat,
    )
    wanted = (
        ("help", "graft --help, whole process", 0.3, lambda one: one.seconds),
        ("batch", "from nothing to the first batch", 3.5, lambda one: one.said["at"] - one.started),
    )
    return [
        Finding(
            NAME,
            "",
            measure,
            middle([seconds(one) for one in done[name]]),
            "s",
            Target("at most", most),
        )
        for name, measure, most, seconds in wanted
    ]


ROW = Row(NAME, "the help, and the first batch", 0.1, findings)
