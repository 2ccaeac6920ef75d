"""The one number of a run, and how far to trust it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graft.report.words import between, count, percent


@dataclass(frozen=True)
class Headline:
    """An accuracy with its interval and the words that belong to it.

    Args:
        accuracy: Share of images that were right, 0 to 1.
        interval: Its 95% interval, if one is known.
        images: How many images it was measured on, if known.
        on: "test", "validation", or what else the images are called.
        caveat: What it was selected on, and what to expect of it.
        distinct: How many distinct images there are among them, if known: what the interval counts.
    """

    accuracy: float
    interval: Sequence[float] | None
    images: int | None
    on: str
    caveat: str
    distinct: int | None = None

    @property
    def measured(self) -> str:
        """The number of images and the interval, in words.

        Example:
            >>> Headline(0.9, (0.8, 0.95), 50, "test", "").measured
            'of 50 test images right, 95% interval 80.0 to 95.0%'
            >>> Headline(1.0, (0.676, 1.0), 80, "test", "", 8).measured
            'of 80 test images (8 distinct) right, 95% interval of the distinct 67.6 to 100.0%'
        """
        kind = f"{self.on} image".lstrip()
        images = f"{kind}s" if self.images is None else count(self.images, kind)
        of_which = ""
        if self.distinct is not None and self.distinct != self.images:
            images, of_which = f"{images} ({count(self.distinct)} distinct)", " of the distinct"
        interval = f", 95% interval{of_which} {between(self.interval)}" if self.interval else ""
        return f"of {images} right{interval}"


def headline(result: dict[str, Any]) -> Headline | None:
    """Return the number to lead with: the test accuracy if there is one, else the validation's.

    Args:
        result: The fit document.

    Returns:
        The headline, or None if nothing was measured.

    Example:
        >>> head = headline({"val_accuracy": 0.9, "val_images": 50, "selected_on": "validation"})
        >>> head.on, head.caveat.split(":")[0]
        ('validation', 'Selected on validation')
    """
    if result.get("test_accuracy") is not None:
        caveat = "Measured once, on images that took no part in training or in choosing the model."
        if result.get("val_accuracy") is not None:
            caveat += (
                f" The validation images, which chose it, gave {percent(result['val_accuracy'])}"
                f" ({between(result.get('val_interval'))})."
            )
        return Headline(
            result["test_accuracy"],
            result.get("test_interval"),
            result.get("test_images"),
            "test",
            caveat,
            result.get("test_distinct_images"),
        )
    if result.get("val_accuracy") is None:
        return None
    selected_on = result.get("selected_on")
    caveat = "No test split: nothing was selected on these images."
    if selected_on:
        caveat = (
            f"Selected on {selected_on}: these images also chose the model, so expect a little"
            " less on new ones. A test split would give a number without that bias."
        )
    return Headline(
        result["val_accuracy"],
        result.get("val_interval"),
        result.get("val_images"),
        "validation",
        caveat,
        result.get("val_distinct_images"),
    )


def best_so_far(epochs: list[dict[str, Any]]) -> Headline | None:
    """Return the best validation accuracy of a run that has no result, or None.

    Args:
        epochs: The lines of `metrics.jsonl`.

    Example:
        >>> epochs = [{"epoch": 1, "val_accuracy": 0.7}, {"epoch": 2, "val_accuracy": 0.6}]
        >>> best_so_far(epochs).caveat
        'Best so far, in epoch 1 of 2. The run has not reached its end, so this is no result.'
    """
    measured = [epoch for epoch in epochs if epoch.get("val_accuracy") is not None]
    if not measured:
        return None
    best = max(measured, key=lambda epoch: float(epoch["val_accuracy"]))
    caveat = (
        f"Best so far, in epoch {best.get('epoch')} of {epochs[-1].get('epoch')}."
        " The run has not reached its end, so this is no result."
    )
    return Headline(best["val_accuracy"], None, None, "validation", caveat)
