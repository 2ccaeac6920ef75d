"""Extraction and head, whole process, against the loop of PyTorch's tutorial."""

from __future__ import annotations

from benchmarks.contest import in_turns, middle
from benchmarks.finding import Finding, Target
from benchmarks.place import Place
from benchmarks.process import Finished
from benchmarks.row import Row

NAME = "tutorial"
EPOCHS, SHORT = 25, 5
EXTRAPOLATED = (
    f"{EPOCHS} epochs extrapolated from {SHORT}: start-up + {EPOCHS} x the median epoch; "
    "--full runs them"
)


def findings(place: Place) -> list[Finding]:
    """Measure."""
    short = 1 if place.quick else SHORT
    contestants = {
        "graft": lambda: place.graft(),
        "short": lambda: place.peer("tutorial", "--epochs", str(short)),
    }
    if place.full:
        contestants["long"] = lambda: place.peer("tutorial", "--epochs", str(EPOCHS))
    done = in_turns(contestants, place.repeat)
    graft = middle([one.seconds for one in done["graft"]])
    five = middle([one.seconds for one in done["short"]])
    if place.full:
        all_epochs = middle([one.seconds for one in done["long"]])
    else:
        all_epochs = middle([extrapolated(one, EPOCHS) for one in done["short"]])
    longest = done["long" if place.full else "short"]
    accuracy = middle([one.said["val_accuracy"] for one in done["graft"]])
    theirs = middle([one.said["best_val_accuracy"] for one in longest])
    note = "" if place.full else EXTRAPOLATED
    return [
        Finding(
            NAME,
            "1",
            f"tutorial's {EPOCHS} epochs / graft fit, whole process",
            all_epochs / graft,
            target=Target("at least", 25.0),
            medians={"tutorial": f"{all_epochs:.1f} s", "graft": f"{graft:.2f} s"},
            note=note,
        ),
        Finding(
            NAME,
            "1",
            f"tutorial's {short} epochs / graft fit, whole process",
            five / graft,
            target=Target("at least", 5.0),
            medians={"tutorial": f"{five:.1f} s", "graft": f"{graft:.2f} s"},
        ),
        Finding(
            NAME,
            "1",
            f"graft's validation accuracy - the tutorial's best in {len_epochs(longest)} epochs",
            100 * (accuracy - theirs),
            "points",
            Target("at least", 0.0),
            {"graft": f"{accuracy:.1%}", "tutorial": f"{theirs:.1%}"},
        ),
    ]


def extrapolated(run: Finished, epochs: int) -> float:
    """Return the seconds of a run of more epochs, from one of few."""
    seconds = [epoch["seconds"] for epoch in run.said["epochs"]]
    return run.seconds - sum(seconds) + epochs * middle(seconds)


def len_epochs(runs: list[Finished]) -> int:
    """Return the number of epochs that the runs had."""
    return len(runs[0].said["epochs"])


ROW = Row(NAME, "extraction and head against the tutorial's loop", 1.1, findings)
