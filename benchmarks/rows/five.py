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
    short = ["--epochs", "2"] if place.quick else []
    every, alone, slowest = [], [], ""
    for _ in range(place.long_rounds):
        five = place.inside("strategies", "--strategies", ",".join(STRATEGIES), *short)
        seconds = five.said["strategies"]
        slowest = slowest or max(seconds, key=seconds.get)
        every.append(five)
        alone.append(place.inside("strategies", "--strategies", slowest, *short).seconds)
    steps = middle([sum(run.said["steps"].values()) for run in every])
    together, one = middle([run.seconds for run in every]), middle(alone)
    medians = {
        name: f"{middle([run.said['strategies'][name] for run in every]):.1f} s"
        for name in STRATEGIES
    }
    notes = [
        f"the optimizer's steps on what is not frozen, which nothing can share, are {steps:.1f} s "
        f"of them: {steps / one:.2f}x without anything else"
    ]
    if place.long_rounds != place.repeat:
        notes.append(f"{place.long_rounds} round")
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
            note="; ".join(notes),
        )
    ]


ROW = Row(NAME, "five strategies against the slowest alone", 3.3, findings, once=True)
