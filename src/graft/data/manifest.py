"""The table of samples: which pictures there are, what they show, and which split they are in."""

from __future__ import annotations

import csv
import os
from collections import Counter
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

from graft.data.target import CLASSIFICATION, COLUMNS, REGRESSION, names_of, number_of
from graft.errors import DataError
from graft.files import from_cell, replacing, to_cell


@dataclass(frozen=True)
class Sample:
    """One picture.

    Args:
        path: Absolute POSIX path.
        label: Name of its class; several labels sorted and joined by ";"; or a number.
        split: "train", "val", "test", or "" while undecided.
        sha256: SHA-256 of the file's bytes, 64 hexadecimal digits; "" if it could not be read.
        width: Upright width in pixels; 0 if unknown.
        height: Upright height in pixels; 0 if unknown.
        state: "ok", or the reason it was set aside.
        group: What images share that must be in one split, such as a patient; "" for none.
    """

    path: str
    label: str
    split: str = ""
    sha256: str = ""
    width: int = 0
    height: int = 0
    state: str = "ok"
    group: str = ""

    @property
    def identity(self) -> str:
        """What copies of one picture share: the content hash, or the path while that is unknown."""
        return self.sha256 or self.path


@dataclass(frozen=True)
class Manifest:
    """An immutable table of samples.

    Args:
        samples: Every sample found, in a stable order, those set aside included.
        root: The folder or table they came from.
        notes: What was found and left out, in words.
        task: What the labels are: "classification", "multilabel" or "regression".

    Example:
        >>> ant = Sample("/photos/ant.jpg", "ants", "train")
        >>> bee = Sample("/photos/bee.jpg", "bees", "train", state="zero bytes")
        >>> manifest = Manifest((bee, ant), root="/photos")
        >>> manifest.classes, manifest.subset("train") == (ant,), manifest.set_aside == (bee,)
        (('ants',), True, True)
        >>> manifest.counts()
        {'train': {'ants': 1}}
    """

    samples: tuple[Sample, ...]
    root: str
    notes: tuple[str, ...] = ()
    task: str = CLASSIFICATION

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Classes or labels that a readable training image has, sorted: the order of the logits."""
        return tuple(
            sorted({name for sample in self.subset("train") for name in self.names(sample)})
        )

    def names(self, sample: Sample) -> tuple[str, ...]:
        """Return the classes or labels that a sample has; none where labels are numbers."""
        return names_of(sample.label, self.task)

    @cached_property
    def readable(self) -> tuple[Sample, ...]:
        """The samples that can be used, sorted by path."""
        usable = (sample for sample in self.samples if sample.state == "ok")
        return tuple(sorted(usable, key=lambda sample: (sample.path, sample.label)))

    @cached_property
    def set_aside(self) -> tuple[Sample, ...]:
        """The samples that cannot be used, each with its reason in `state`."""
        return tuple(sample for sample in self.samples if sample.state != "ok")

    def subset(self, split: str) -> tuple[Sample, ...]:
        """Return the readable samples of "train", "val", "test" or "" (undecided), by path."""
        return tuple(sample for sample in self.readable if sample.split == split)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of readable images per split and class or label, sorted by name."""
        counted: dict[str, dict[str, int]] = {sample.split: {} for sample in self.readable}
        pairs = Counter(
            (sample.split, name) for sample in self.readable for name in self.names(sample)
        )
        for (split, label), number in sorted(pairs.items()):
            counted[split][label] = number
        return dict(sorted(counted.items()))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table as CSV, atomically; names are written as `to_cell` has them.

        Raises:
            ResourceError: The disk is full or the folder cannot be written.
        """
        # surrogateescape lets file names that are not UTF-8 survive the round trip.
        with (
            replacing(path) as temporary,
            temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
        ):
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_HEADERS[self.task])
            writer.writerows(_row(sample, self.task) for sample in self.samples)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Manifest:
        """Read a table written by `save`, as it was, without looking at the images again.

        Returns:
            The manifest; its `root` is the deepest folder that holds every sample.

        Raises:
            DataError: The file is missing or is not such a table.
        """
        try:
            with Path(path).open(encoding="utf-8", errors="surrogateescape", newline="") as file:
                header, *rows = list(csv.reader(file)) or [[]]
        except OSError as error:
            raise DataError(
                f"The split table '{path}' cannot be read: {error.strerror}.",
                "Give the folder of a finished run.",
            ) from error
        tasks = [task for task, columns in _HEADERS.items() if columns == tuple(header)]
        if not tasks:
            expected = ", ".join(_HEADERS[CLASSIFICATION])
            raise DataError(
                f"'{path}' has the columns {', '.join(header)}; expected {expected}.",
                "Give a split.csv that Graft wrote.",
            )
        try:
            samples = tuple(_sample(row) for row in rows)
            if tasks == [REGRESSION]:
                for sample in samples:
                    number_of(sample.label)
        except ValueError as error:
            raise DataError(
                f"'{path}' holds a damaged row: {error}.", "Restore the file or repeat the run."
            ) from error
        return cls(samples, _common_folder(samples), task=tasks[0])


_HEADERS = {
    task: tuple(column if field.name == "label" else field.name for field in fields(Sample))
    for task, column in COLUMNS.items()
}
"""The columns of split.csv: the name of the label's says what the task is."""


def _row(sample: Sample, task: str) -> list[str]:
    cells = {field.name: to_cell(str(getattr(sample, field.name))) for field in fields(Sample)}
    if task == REGRESSION:
        cells["label"] = sample.label  # a negative number is no formula
    return list(cells.values())


def _sample(row: list[str]) -> Sample:
    path, label, split, digest, width, height, state, group = map(from_cell, row)
    return Sample(path, label, split, digest, int(width), int(height), state, group)


def _common_folder(samples: tuple[Sample, ...]) -> str:
    folders = {str(Path(sample.path).parent) for sample in samples}
    return os.path.commonpath(folders) if folders else ""
