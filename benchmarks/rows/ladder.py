"""Where the gain comes from: one part of Graft after the other put into a plain probe."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from benchmarks.contest import in_turns, middle
from benchmarks.finding import Finding
from benchmarks.place import Place
from benchmarks.row import Row

NAME = "ablation"
PLAIN = ("pillow", "eager", "sklearn")
STEPS = {
    "Graft's decoder, one thread": ("one-thread", "eager", "sklearn"),
    "its threads": ("threads", "eager", "sklearn"),
    "its engine (BatchNorm folded, padded batches)": ("threads", "folded", "sklearn"),
    "its solver": ("threads", "folded", "graft"),
}
CACHE = "its cache, found"


def findings(place: Place) -> list[Finding]:
    """Measure. Seconds are those of extraction and head, without imports."""

    def rung(decode: str, engine: str, solver: str) -> tuple[float, float]:
        parts = ["--decode", decode, "--engine", engine, "--solver", solver]
        said = place.inside("ladder", *parts).said
        return said["extract"], said["solve"]

    cache: Path = place.new_folder("cache")
    place.inside("cold", cache=cache)

    def found() -> tuple[float, float]:
        said = place.inside("cold", cache=cache).said
        head = said["seconds"]["train"]
        return said["whole"] - head, head

    parts = {"a plain probe": PLAIN, **STEPS}
    done = in_turns(
        {
            **{name: (lambda part=part: rung(*part)) for name, part in parts.items()},
            CACHE: found,
        },
        place.repeat,
    )
    extract = {name: middle([times[0] for times in runs]) for name, runs in done.items()}
    solve = {name: middle([times[1] for times in runs]) for name, runs in done.items()}
    return [
        Finding(
            NAME,
            "",
            f"extraction and head without / with {name}",
            (extract[before] + solve[before]) / (extract[name] + solve[name]),
            medians={
                "before": f"{extract[before]:.2f} + {solve[before]:.2f} s",
                "with it": f"{extract[name]:.2f} + {solve[name]:.2f} s",
            },
        )
        for before, name in pairwise(done)
    ]


ROW = Row(NAME, "which part of Graft gains how much", 1.0, findings)
