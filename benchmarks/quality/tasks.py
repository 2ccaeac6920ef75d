"""The images on which features are judged, each set with a split that never changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from benchmarks.place import SHARED, MissingError
from graft.data.decode import Readable
from graft.data.manifest import Manifest, Sample, assign_splits
from graft.data.scan import scan

SEED = 0
TEST_SHARE = 0.2


@dataclass(frozen=True)
class Task:
    """Labelled images in two parts.

    Args:
        name: Such as "flowers".
        images: Paths or images, those to learn from first.
        labels: Shape (N,), numbers of the classes.
        training: How many are to learn from; the others test.
    """

    name: str
    images: tuple[Readable, ...]
    labels: NDArray[np.int64]
    training: int

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.labels.max()) + 1

    def first(self, most: int | None) -> Task:
        """Return the task with a stratified draw of at most so many images of each part."""
        if most is None or most >= len(self.labels):
            return self
        share = most / len(self.labels)
        parts = [
            train_test_split(part, train_size=share, random_state=SEED, stratify=self.labels[part])[
                0
            ]
            for part in np.split(np.arange(len(self.labels)), [self.training])
        ]
        chosen = np.concatenate(parts)
        return replace(
            self,
            images=tuple(self.images[index] for index in chosen),
            labels=self.labels[chosen],
            training=len(parts[0]),
        )


def digit_images() -> tuple[list[Image.Image], NDArray[np.int64]]:
    """Return scikit-learn's 1,797 handwritten digits, 8 x 8 pixels, and what they are."""
    bunch = load_digits()
    pixels = np.round(bunch.images * (255 / 16)).astype(np.uint8)
    return [Image.fromarray(each).convert("RGB") for each in pixels], bunch.target.astype(np.int64)


def digits() -> Task:
    """Return the digits, a third of them to test on."""
    images, labels = digit_images()
    training, test = train_test_split(
        np.arange(len(labels)), test_size=1 / 3, random_state=SEED, stratify=labels
    )
    order = np.concatenate([training, test])
    return Task("digits", tuple(images[i] for i in order), labels[order], len(training))


def flowers() -> Task:
    """Return the five flowers of `shared/data`, a fifth of each to test on."""
    manifest = assign_splits(scan(_shared("flowers")), val_fraction=TEST_SHARE, seed=SEED)
    return _from_manifest("flowers", manifest)


def hymenoptera() -> Task:
    """Return the ants and bees of `shared/data` with their own split."""
    return _from_manifest("hymenoptera", scan(_shared("hymenoptera")))


TASKS: dict[str, Callable[[], Task]] = {
    "digits": digits,
    "flowers": flowers,
    "hymenoptera": hymenoptera,
}


def _shared(name: str) -> Path:
    folder = SHARED / "data" / name
    if not folder.is_dir():
        raise MissingError(f"no folder '{folder.relative_to(SHARED.parent)}' beside the repository")
    return folder


def _from_manifest(name: str, manifest: Manifest) -> Task:
    training, test = manifest.subset("train"), manifest.subset("val")
    samples: tuple[Sample, ...] = training + test
    labels = np.array([manifest.classes.index(sample.label) for sample in samples])
    return Task(name, tuple(sample.path for sample in samples), labels, len(training))
