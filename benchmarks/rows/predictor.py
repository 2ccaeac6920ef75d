"""A predictor that is kept, against decoding and the bare network, in one process."""

from __future__ import annotations

from benchmarks.finding import Finding, Target
from benchmarks.place import Place
from benchmarks.row import Row

NAME = "predictor"

TARGETS = {1: Target("at most", 1.25), 8: Target("at most", 1.0), 64: Target("at most", 1.0)}


def findings(place: Place) -> list[Finding]:
    """Measure."""
    return [
        Finding(
            NAME,
            "",
            f"{network}, {count} photographs: predictor / (decode + eager network)",
            seconds[f"predictor {count}"]
            / (seconds[f"decode {count}"] + seconds[f"eager {count}"]),
            target=target,
            medians={
                way: f"{seconds[f'{way} {count}'] * 1000:.0f} ms"
                for way in ("predictor", "decode", "eager")
            },
            note="medians of 7 turns in one process, batches of 8",
        )
        for network, seconds in place.inside("predictor").said["seconds"].items()
        for count, target in TARGETS.items()
    ]


ROW = Row(NAME, "one photograph, 8 and 64 by a predictor", 1.0, findings)
