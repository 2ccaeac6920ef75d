"""Whole processes of the other ways to the same answer, told without targets."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.contest import in_turns, middle
from benchmarks.finding import Finding
from benchmarks.place import Place
from benchmarks.process import FailedError, Finished
from benchmarks.row import Row

NAME = "peers"


def findings(place: Place) -> list[Finding]:
    """Measure. These peers take long, so that there is one round unless --full asks for all."""
    epochs, loops = ("1", "1") if place.quick else ("4", "5")
    batch = ["--batch-size", "8"] if place.quick else []
    peers: dict[str, Callable[[], Finished]] = {
        f"tutorial's loop, tuned, {loops} epochs": lambda: place.peer(
            "tutorial", "--tuned", "--epochs", loops
        ),
        f"fastai fine_tune({epochs})": lambda: place.peer(
            "fastai_fine_tune", "--epochs", epochs, *batch
        ),
        f"timm's recipe, {epochs} epochs": lambda: place.peer(
            "timm_recipe", "--epochs", epochs, *batch
        ),
        "scikit-learn on eager features": lambda: place.peer("sklearn_probe"),
    }
    contestants = {"graft": lambda: place.graft(), **peers}
    done = in_turns(
        {name: _or_why_not(run) for name, run in contestants.items()}, place.long_rounds
    )
    ours = [one for one in done["graft"] if isinstance(one, Finished)]
    if not ours:
        raise FailedError(str(done["graft"][0]))
    graft = middle([one.seconds for one in ours])
    accuracy = middle([one.said["val_accuracy"] for one in ours])
    note = "" if place.long_rounds == place.repeat else f"{place.long_rounds} round"
    found = []
    for name in peers:
        theirs = [one for one in done[name] if isinstance(one, Finished)]
        measure = f"{name} / graft fit, whole process"
        if not theirs:
            why = f"not measurable with these versions: {done[name][0]}"
            found.append(Finding(NAME, "", measure, None, note=why))
            continue
        seconds = middle([one.seconds for one in theirs])
        best = middle([one.said["best_val_accuracy"] for one in theirs])
        medians = {
            "the peer": f"{seconds:.1f} s, {best:.1%} right",
            "graft": f"{graft:.2f} s, {accuracy:.1%} right",
        }
        found.append(Finding(NAME, "", measure, seconds / graft, medians=medians, note=note))
    return found


def _or_why_not(run: Callable[[], Finished]) -> Callable[[], Finished | str]:
    """Return a contestant that says why it failed, so that one peer does not end the row."""

    def attempt() -> Finished | str:
        try:
            return run()
        except FailedError as failure:
            return str(failure)

    return attempt


ROW = Row(NAME, "other ways to the same answer", 5.6, findings, once=True)
