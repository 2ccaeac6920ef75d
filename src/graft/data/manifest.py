"""The table of samples: which images there are, what they show, and which split they are in."""

from __future__ import annotations

import csv
import hashlib
import os
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from math import ceil
from pathlib import Path

from graft.data.target import (
    CLASSIFICATION,
    COLUMNS,
    MULTILABEL,
    REGRESSION,
    SEPARATOR,
    names_of,
    number_of,
)
from graft.errors import DataError, RecipeError
from graft.files import atomic_write, from_cell, to_cell


@dataclass(frozen=True)
class Sample:
    """One image.

    Args:
        path: Absolute POSIX path.
        label: Name of its class; several labels sorted and joined by ";"; or a number.
        split: "train", "val", "test", or "" while undecided.
        sha256: SHA-256 of the file's bytes, 64 hexadecimal digits; "" if it could not be read.
        width: Upright width in pixels; 0 if unknown.
        height: Upright height in pixels; 0 if unknown.
        state: "ok", or the reason it was set aside.
        group: What images share that must be in one split, such as a patient; "" for none.
        twin: What files share that decode to the same pixels though their bytes differ; "" for
            none.
    """

    path: str
    label: str
    split: str = ""
    sha256: str = ""
    width: int = 0
    height: int = 0
    state: str = "ok"
    group: str = ""
    twin: str = ""

    @property
    def identity(self) -> str:
        """What copies of one file share: the content hash, or the path while that is unknown."""
        return self.sha256 or self.path

    @property
    def content(self) -> str:
        """What copies of one image share, be they the same file or the same pixels."""
        return self.twin or self.identity


@dataclass(frozen=True)
class Manifest:
    """An immutable table of samples.

    Args:
        samples: Every sample found, in a stable order, those set aside included.
        root: The folder or table they came from.
        notes: What was found and left out, as sentences.
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

    def leaked(self, split: str) -> list[bool]:
        """Say of each image of `subset(split)` whether a split before it has the same image.

        Training is before validation, and both are before the test.
        """
        before = {"val": ("train",), "test": ("train", "val")}.get(split, ())
        seen = {sample.content for name in before for sample in self.subset(name)}
        return [sample.content in seen for sample in self.subset(split)]

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
            atomic_write(path) as temporary,
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
        # Tables of earlier versions lack the last columns.
        tasks = [
            task
            for task, columns in _HEADERS.items()
            if columns[: len(header)] == tuple(header) and len(header) >= _FIRST_COLUMNS
        ]
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

_FIRST_COLUMNS = 8
"""Columns that every split.csv has, those of the first version."""


def _row(sample: Sample, task: str) -> list[str]:
    cells = {field.name: to_cell(str(getattr(sample, field.name))) for field in fields(Sample)}
    if task == REGRESSION:
        cells["label"] = sample.label  # a negative number is no formula
    return list(cells.values())


def _sample(row: list[str]) -> Sample:
    path, label, split, digest, width, height, *rest = map(from_cell, row)
    return Sample(path, label, split, digest, int(width), int(height), *rest)


def _common_folder(samples: tuple[Sample, ...]) -> str:
    folders = {str(Path(sample.path).parent) for sample in samples}
    return os.path.commonpath(folders) if folders else ""


Units = Mapping[str, str]

RANGES = 10
"""Most ranges of a number that are split on their own."""

RANGE_IMAGES = 10
"""Fewest distinct images in one of them."""


def assign_splits(
    manifest: Manifest,
    *,
    val_fraction: float = 0.2,
    test_fraction: float = 0.0,
    seed: int = 0,
) -> Manifest:
    """Give a split to the samples that have none.

    Only splits that the data lacks are drawn, from the images without a split and those for
    training. Each class is split on its own; of several labels each set of them that enough images
    have, and the rest by the rarest label of each image; of numbers each of up to ten ranges with
    as many images. The draw follows from the files' contents, the groups and the seed alone: names
    and order do not matter, and copies of one image, and images of one group, stay together, also
    across classes. A group counts as one image.

    Args:
        manifest: What `scan` returned.
        val_fraction: Share of each class's distinct images for validation, in [0, 1).
        test_fraction: Share for the test split, in [0, 1).
        seed: Another seed draws another split.

    Returns:
        The manifest with a split for every readable sample. Every class of at least two distinct
        images has one in training and, if `val_fraction` is above zero, one in validation. Every
        label has an image in training.

    Raises:
        RecipeError: The fractions leave nothing for training.

    Example:
        >>> ants = (Sample(f"/{n}.jpg", "ants", sha256=f"{n:064x}") for n in range(10))
        >>> assign_splits(Manifest(tuple(ants), root="/")).counts()
        {'train': {'ants': 8}, 'val': {'ants': 2}}
    """
    if not (val_fraction >= 0 and test_fraction >= 0 and val_fraction + test_fraction < 1):
        raise RecipeError(
            f"A validation share of {val_fraction} and a test share of {test_fraction} were given.",
            "Give shares of at least 0 whose sum is below 1.",
        )
    given = {sample.split for sample in manifest.readable}
    shares = {
        split: share
        for split, share in (("val", val_fraction), ("test", test_fraction))
        if split not in given and share > 0
    }
    open_splits = {"", "train"} if shares else {""}
    undecided = [s for s in manifest.readable if s.split in open_splits]
    units = _units(manifest.readable)
    strata = _strata(undecided, units, manifest.task, shares)
    drawn = _draw(undecided, units, strata, shares, seed)
    if manifest.task == MULTILABEL:
        _keep_labels(undecided, units, drawn, seed)
    followed = {units[s.content]: s.split for s in manifest.readable if s.split not in open_splits}
    samples = tuple(
        replace(sample, split=_split_of(sample, units, drawn, followed))
        if sample.split in open_splits and sample.state == "ok"
        else sample
        for sample in manifest.samples
    )
    return replace(manifest, samples=samples)


def _units(samples: Sequence[Sample]) -> dict[str, str]:
    """Return, for the content of each image, the name of all that is drawn together with it."""
    parents: dict[str, str] = {}

    def find(name: str) -> str:
        while parents.setdefault(name, name) != name:
            parents[name] = name = parents[parents[name]]
        return name

    for sample in samples:
        own = find(sample.content)
        if sample.group:
            low, high = sorted((own, find(f"group {sample.group}")))
            parents[high] = low
    return {sample.content: find(sample.content) for sample in samples}


def _split_of(sample: Sample, units: Units, drawn: dict[str, str], followed: dict[str, str]) -> str:
    """Return the drawn split; an undecided copy of an image that has a split goes with it."""
    unit = units[sample.content]
    return followed[unit] if sample.split == "" and unit in followed else drawn[unit]


def _strata(samples: list[Sample], units: Units, task: str, shares: dict[str, float]) -> list[str]:
    """Return for each sample the name of the group that is split on its own."""
    if task == MULTILABEL:
        return _label_sets(samples, units, ceil(1 / min(shares.values(), default=1)))
    if task == REGRESSION:
        return _ranges(samples, units)
    return [sample.label for sample in samples]


def _label_sets(samples: list[Sample], units: Units, enough: int) -> list[str]:
    """Return each sample's set of labels, or its rarest label where too few have that set."""
    owners: dict[str, set[str]] = defaultdict(set)
    names = [names_of(sample.label, MULTILABEL) for sample in samples]
    for sample, own in zip(samples, names, strict=True):
        for name in (SEPARATOR + sample.label, *own):
            owners[name].add(units[sample.content])
    return [
        SEPARATOR + sample.label
        if len(owners[SEPARATOR + sample.label]) >= enough or not own
        else min(own, key=lambda name: (len(owners[name]), name))
        for sample, own in zip(samples, names, strict=True)
    ]


def _ranges(samples: list[Sample], units: Units) -> list[str]:
    """Return the range of each sample's number, out of those with equally many distinct images."""
    ordered = sorted({units[sample.content]: float(sample.label) for sample in samples}.values())
    count = max(1, min(RANGES, len(ordered) // RANGE_IMAGES))
    edges = [ordered[len(ordered) * number // count] for number in range(1, count)]
    return [str(bisect_right(edges, float(sample.label))) for sample in samples]


def _keep_labels(samples: list[Sample], units: Units, drawn: dict[str, str], seed: int) -> None:
    """Draw one image for training of every label that would have none."""
    owners: dict[str, set[str]] = defaultdict(set)
    for sample in samples:
        for name in names_of(sample.label, MULTILABEL):
            owners[name].add(units[sample.content])
    for _, members in sorted(owners.items()):
        if "train" not in {drawn[member] for member in members}:
            drawn[min(members, key=lambda member: _rank(member, seed))] = "train"


def _draw(
    samples: list[Sample], units: Units, strata: list[str], shares: dict[str, float], seed: int
) -> dict[str, str]:
    """Return a split for each unit."""
    classes: dict[str, set[str]] = defaultdict(set)
    for sample, stratum in zip(samples, strata, strict=True):
        classes[stratum].add(units[sample.content])
    drawn: dict[str, str] = {}
    for _, members in sorted(classes.items()):
        # A member drawn already is a copy that another class holds: it counts where it is.
        ranked = sorted(members - drawn.keys(), key=lambda member: _rank(member, seed))
        spare = len(members) - 1
        for split, share in shares.items():
            wanted = min(max(1, round(share * len(members))), spare)
            spare -= wanted
            present = sum(drawn.get(member) == split for member in members)
            taken = max(0, wanted - present)
            drawn.update(dict.fromkeys(ranked[:taken], split))
            del ranked[:taken]
        drawn.update(dict.fromkeys(ranked, "train"))
    return drawn


def limit_training(
    manifest: Manifest, *, per_class: int | None = None, limit: int | None = None, seed: int = 0
) -> Manifest:
    """Keep only some of the training images; validation and test images stay.

    The draw follows from the files' contents and the seed alone. It is nested: with the same seed,
    a smaller number keeps a part of what a larger one keeps.

    Args:
        manifest: What `assign_splits` returned.
        per_class: Most images of each class; of several labels, the images that are among so many
            of one of their labels.
        limit: Most images in all, about the same share of each class, and at least one.
        seed: Another seed keeps others.

    Raises:
        RecipeError: `limit` is less than the number of classes, or numbers have no classes.

    Example:
        >>> ants = (Sample(f"/{n}.jpg", "ants", "train", f"{n:064x}") for n in range(10))
        >>> limit_training(Manifest(tuple(ants), root="/"), per_class=4).counts()
        {'train': {'ants': 4}}
    """
    if per_class is limit is None:
        return manifest
    if per_class is not None and manifest.task == REGRESSION:
        raise RecipeError(
            f"--per-class {per_class} was given, and numbers have no classes.", "Give --limit."
        )
    training = [
        (_rank(sample.identity, seed), sample.path, sample.label, position)
        for position, sample in enumerate(manifest.samples)
        if sample.split == "train" and sample.state == "ok"
    ]
    kept = [position for *_, position in sorted(training)]
    strata = _kept_strata(manifest, kept)
    if per_class is not None:
        seen: Counter[str] = Counter()
        first = []
        for position in kept:
            if any(seen[name] < per_class for name in strata[position]):
                first.append(position)
            seen.update(strata[position])
        kept = first
    if limit is not None:
        names = {name for position in kept for name in strata[position]}
        if limit < len(names):
            raise RecipeError(
                f"--limit {limit} leaves training images of {limit} of {len(names)} classes.",
                f"Give at least {len(names)}.",
            )
        order = stratified_order([strata[position] for position in kept])
        kept = [kept[place] for place in order[:limit]]
    left_out = {position for *_, position in training} - set(kept)
    note = f"{len(kept):,} of {len(training):,} training images are used, drawn by --seed {seed}."
    return replace(
        manifest,
        samples=tuple(s for n, s in enumerate(manifest.samples) if n not in left_out),
        notes=(*manifest.notes, note),
    )


def _kept_strata(manifest: Manifest, positions: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return the classes or labels of samples, or the range of their numbers."""
    samples = [manifest.samples[position] for position in positions]
    names: list[tuple[str, ...]] = [manifest.names(sample) or ("",) for sample in samples]
    if manifest.task == REGRESSION:
        names = [(name,) for name in _ranges(samples, _units(samples))]
    return dict(zip(positions, names, strict=True))


def stratified_order(strata: Sequence[Collection[str]]) -> list[int]:
    """Return an order in which every beginning has about the same share of each stratum.

    Args:
        strata: Those that each item belongs to, at least one; of a stratum, earlier items come
            first.

    Returns:
        The positions of the items, the first of every stratum before all others.

    Example:
        >>> stratified_order(["a", "a", "a", "a", "b", "b"])
        [0, 4, 1, 2, 5, 3]
    """
    totals = Counter(name for names in strata for name in names)
    before: Counter[str] = Counter()
    shares = []
    for names in strata:
        shares.append(min(before[name] / totals[name] for name in names))
        before.update(names)
    return sorted(range(len(strata)), key=shares.__getitem__)


def _rank(unit: str, seed: int) -> str:
    return hashlib.sha256(os.fsencode(f"{seed} {unit}")).hexdigest()
