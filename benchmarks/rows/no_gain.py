"""Where caching does not pay: images that are looked at once and never again."""

from __future__ import annotations

from benchmarks.contest import in_turns, middle
from benchmarks.finding import Finding
from benchmarks.place import Place
from benchmarks.row import Row

NAME = "no-gain"


def findings(place: Place) -> list[Finding]:
    """Measure."""
    done = in_turns(
        {
            "cache off": lambda: place.graft("--cache", "off"),
            "empty cache": lambda: place.graft(),
        },
        place.repeat,
    )
    seconds = {name: middle([one.seconds for one in runs]) for name, runs in done.items()}
    return [
        Finding(
            NAME,
            "",
            "one probe of images never seen again: cache off / an empty cache, whole process",
            seconds["cache off"] / seconds["empty cache"],
            medians={name: f"{value:.2f} s" for name, value in seconds.items()},
            note="nothing is found, so that keeping activations cannot gain",
        )
    ]


ROW = Row(NAME, "where caching does not pay", 0.3, findings)
