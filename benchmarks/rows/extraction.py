"""Cold extraction against the limit: decoding alone plus the forward pass alone."""

from __future__ import annotations

from benchmarks.contest import in_turns, middle
from benchmarks.finding import Finding, Target
from benchmarks.place import Place
from benchmarks.row import Row

NAME = "extraction"


def findings(place: Place) -> list[Finding]:
    """Measure."""
    done = in_turns(
        {"graft": lambda: place.inside("cold"), "limit": lambda: place.inside("limit")},
        place.repeat,
    )
    graft = middle([one.said["extraction"] for one in done["graft"]])
    own_clock = middle([one.said["seconds"]["extract"] for one in done["graft"]])
    decode = middle([one.said["decode"] for one in done["limit"]])
    forward = middle([one.said["forward"] for one in done["limit"]])
    return [
        Finding(
            NAME,
            "2",
            "cold extraction / (decode alone + forward alone), all cores",
            graft / (decode + forward),
            target=Target("at most", 1.2),
            medians={
                "extraction": f"{graft:.2f} s, planning and proof included",
                "by the run's clock": f"{own_clock:.2f} s",
                "decode alone": f"{decode:.2f} s",
                "forward alone": f"{forward:.2f} s",
            },
        )
    ]


ROW = Row(NAME, "cold extraction against the limit", 0.3, findings)
