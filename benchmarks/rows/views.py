"""What augmented views cost, and what the cache gains where a strategy trains for epochs."""

from __future__ import annotations

from benchmarks.contest import in_turns, middle
from benchmarks.finding import Finding
from benchmarks.place import Place
from benchmarks.process import Finished
from benchmarks.row import Row
from benchmarks.rows.partial import STAGE

NAME = "views"
EPOCHS = 8


def findings(place: Place) -> list[Finding]:
    """Measure. It takes long, so that there is one round unless --full asks for all."""
    epochs = 2 if place.quick else EPOCHS

    def partial(views: int, *more: str) -> Finished:
        return place.graft(
            "--strategy", "partial", "--unfreeze-from", STAGE,
            "--epochs", str(epochs), "--views", str(views), *more,
        )  # fmt: skip

    done = in_turns(
        {
            "4 views, cache off": lambda: partial(4, "--cache", "off"),
            "4 views": lambda: partial(4),
            "1 view": lambda: partial(1),
        },
        place.long_rounds,
    )
    seconds = {name: middle([one.seconds for one in runs]) for name, runs in done.items()}
    medians = {
        name: f"{seconds[name]:.1f} s, {middle([one.said['val_accuracy'] for one in runs]):.1%}"
        for name, runs in done.items()
    }
    note = "" if place.long_rounds == place.repeat else f"{place.long_rounds} round"
    what = f"partial from {STAGE}, {epochs} epochs, whole process"
    return [
        Finding(
            NAME,
            "",
            f"cache off / on, 4 views: {what}",
            seconds["4 views, cache off"] / seconds["4 views"],
            medians=medians,
            note=note,
        ),
        Finding(NAME, "", f"4 views / 1 view: {what}", seconds["4 views"] / seconds["1 view"]),
    ]


ROW = Row(NAME, "augmented views, and the cache over epochs", 2.3, findings, once=True)
