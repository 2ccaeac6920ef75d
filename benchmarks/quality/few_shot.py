"""Digits with twenty labelled images of each class: what pre-training is worth where few are."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality.candidate import Candidate
from benchmarks.quality.tasks import digit_images
from graft.workflows.fit import fit

PER_CLASS = 20
TASK = f"digits, {PER_CLASS} of each class"
COMMON: Mapping[str, Any] = {
    "augment": "crop(0.6),rotation(10)",  # a mirrored digit is another, or none
    "cache": "off",
    "workers": 1,
}

AS_SCRATCH: Mapping[str, Any] = {
    "lr": 9e-4,
    "decay": 1.0,
    "batch_norm": "train",
    "head_start": "random",
}
"""What `--strategy scratch` takes by default: so trained, only the starting weights differ."""


def methods(epochs: int, longer: int) -> dict[str, dict[str, Any]]:
    """Return the options of `graft fit` under the name of each method.

    Args:
        epochs: Of fine-tuning and of training from scratch.
        longer: Of another training from scratch, which would need more.
    """
    return {
        "probe": {"strategy": "probe"},
        f"full, {epochs} epochs": {"strategy": "full", "epochs": epochs},
        f"full as scratch, {epochs} epochs": {"strategy": "full", "epochs": epochs, **AS_SCRATCH},
        f"scratch, {epochs} epochs": {"strategy": "scratch", "epochs": epochs},
        f"scratch, {longer} epochs": {"strategy": "scratch", "epochs": longer},
    }


def accuracy(candidate: Candidate, options: Mapping[str, Any], seed: int) -> tuple[float, int]:
    """Return the test accuracy of `graft fit`, and the number of test images.

    A fifth of the labelled images is the validation split, as `graft fit` makes it by itself; it
    chooses the epoch. All other digits test, once.

    Args:
        candidate: The backbone.
        options: One of `methods`.
        seed: Of the choice of images, of the split and of training.
    """
    given: dict[str, Any] = {"image_size": candidate.image_size}
    if candidate.weights is not None and options["strategy"] != "scratch":
        given["weights"] = str(candidate.weights)
    with tempfile.TemporaryDirectory(prefix="graft-few-") as name:
        table = write_digits(Path(name), seed)
        fitted = fit(
            table,
            out=Path(name) / "run",
            backbone=candidate.name,
            seed=seed,
            **{**COMMON, **given, **options},
        )
    return fitted.result["test_accuracy"], fitted.result["test_images"]


def write_digits(folder: Path, seed: int) -> Path:
    """Write the digits and a table: 20 of each class to learn from, the others to test on."""
    images, labels = digit_images()
    chosen: set[int] = set()
    rng = np.random.default_rng(seed)
    for label in np.unique(labels):
        chosen |= set(rng.permutation(np.flatnonzero(labels == label))[:PER_CLASS].tolist())
    table = folder / "digits.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            path = folder / f"{number:04}.png"
            image.save(path)
            writer.writerow([path, f"digit {label}", "train" if number in chosen else "test"])
    return table
