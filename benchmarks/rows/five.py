"""Five strategies on one data set against the slowest of them alone."""

from __future__ import annotations

from benchmarks.contest import middle
from benchmarks.finding import Finding, Target
from benchmarks.place import Place
from benchmarks.row import Row

NAME = "five"
STRATEGIES = ("probe", "partial", "gradual", "two-phase", "full")


def findings(place: Place) -> list[Finding]:
    """Measure. It takes long, so that there is one round unless --full asks for all."""
    rounds = place.repeat if place.full else 1
    short = ["--epochs", "2"] if place.quick else []
    every, alone, slowest = [], [], ""
    for _ in range(rounds):
        five = place.inside("strategies", "--strategies", ",".join(STRATEGIES), *short)
        seconds = five.said["strategies"]
        slowest = slowest or max(seconds, key=seconds.get)
        every.append(five)
        alone.append(place.inside("strategies", "--strategies", slowest, *short).seconds)
    together, one = middle([run.seconds for run in every]), middle(alone)
    medians = {
        name: f"{middle([run.said['strategies'][name] for run in every]):.1f} s"
        for name in STRATEGIES
    }
    return [
        Finding(
            NAME,
            "7",
            f"five strategies with one cache / {slowest} alone, whole process",
            together / one,
            target=Target("at most", 1.5),
            medians={
                **medians,
                "together": f"{together:.1f} s",
                f"{slowest} alone": f"{one:.1f} s",
            },
            note="" if rounds == place.repeat else f"{rounds} round",
        )
    ]


ROW = Row(NAME, "five strategies against the slowest alone", 3.5, findings)
