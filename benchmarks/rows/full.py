"""Full fine-tuning, in images per second, against the step alone and against fastai's epoch."""

from __future__ import annotations

from benchmarks.contest import in_turns, middle
from benchmarks.finding import Finding, Target
from benchmarks.place import Place
from benchmarks.process import FailedError, Finished
from benchmarks.row import Row

NAME = "full"


def findings(place: Place) -> list[Finding]:
    """Measure. Photographs and random tensors take turns, epoch by epoch."""
    epochs = "1" if place.quick else "5"
    batch = "8" if place.quick else "32"
    failures: list[str] = []

    def fastai() -> Finished | None:
        try:
            return place.peer("fastai_fine_tune", "--epochs", "1", "--batch-size", batch)
        except FailedError as failure:
            failures.append(str(failure))
            return None

    done = in_turns(
        {"graft": lambda: place.inside("full", "--epochs", epochs), "fastai": fastai},
        place.repeat,
    )
    ours = [one.said for one in done["graft"] if one]
    first = middle([said["photographs"][0] for said in ours])
    pairs = [pair for said in ours for pair in _settled(said)]
    photographs, synthetic = (middle(list(speeds)) for speeds in zip(*pairs, strict=True))
    found = [
        Finding(
            NAME,
            "4",
            "full fine-tuning on photographs / the same step on random tensors, images/s",
            middle([ours / alone for ours, alone in pairs]),
            target=Target("at least", 0.95),
            medians={
                "photographs": f"{photographs:.1f} images/s (first epoch {first:.1f})",
                "random tensors": f"{synthetic:.1f} images/s",
            },
            note=f"median of {len(pairs)} pairs of epochs in turns, without the first of each run",
        )
    ]
    measure = f"full fine-tuning / fastai's unfrozen epoch at batch {batch}, images/s"
    theirs = [one for one in done["fastai"] if one]
    if not theirs:
        why = f"not measurable with these versions: {failures[0]}"
        return [*found, Finding(NAME, "4", measure, None, note=why)]
    speed = middle([_unfrozen_speed(one) for one in theirs])
    return [
        *found,
        Finding(
            NAME,
            "4",
            measure,
            photographs / speed,
            target=Target("at least", 1.5),
            medians={
                "graft": f"{photographs:.1f} images/s",
                "fastai": f"{speed:.1f} images/s",
            },
            note="the training part of the epochs, without validation",
        ),
    ]


def _settled(said: dict[str, list[float]]) -> list[tuple[float, float]]:
    """Return neighbouring epochs on photographs and on random tensors, the first pair apart.

    The first epoch decodes the photographs and fetches all memory from the system.
    """
    pairs = list(zip(said["photographs"], said["synthetic"], strict=True))
    return pairs[1:] or pairs


def _unfrozen_speed(run: Finished) -> float:
    """Return the images per second of fastai's epochs in which every layer learns."""
    epochs = [epoch for epoch in run.said["epochs"] if not epoch["frozen"]]
    return middle([epoch["train_images"] / epoch["train_seconds"] for epoch in epochs])


ROW = Row(NAME, "full fine-tuning against the step alone and fastai", 2.2, findings)
