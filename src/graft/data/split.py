"""Drawing a validation and a test split: stratified, seeded, and by content."""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil

from graft.data.manifest import Manifest, Sample
from graft.data.target import MULTILABEL, REGRESSION, SEPARATOR, names_of
from graft.errors import RecipeError

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
    followed = {units[s.identity]: s.split for s in manifest.readable if s.split not in open_splits}
    samples = tuple(
        replace(sample, split=_split_of(sample, units, drawn, followed))
        if sample.split in open_splits and sample.state == "ok"
        else sample
        for sample in manifest.samples
    )
    return replace(manifest, samples=samples)


def _units(samples: Sequence[Sample]) -> dict[str, str]:
    """Return, for the identity of each image, the name of all that is drawn together with it."""
    parents: dict[str, str] = {}

    def find(name: str) -> str:
        while parents.setdefault(name, name) != name:
            parents[name] = name = parents[parents[name]]
        return name

    for sample in samples:
        own = find(sample.identity)
        if sample.group:
            low, high = sorted((own, find(f"group {sample.group}")))
            parents[high] = low
    return {sample.identity: find(sample.identity) for sample in samples}


def _split_of(sample: Sample, units: Units, drawn: dict[str, str], followed: dict[str, str]) -> str:
    """Return the drawn split; an undecided copy of an image that has a split goes with it."""
    unit = units[sample.identity]
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
            owners[name].add(units[sample.identity])
    return [
        SEPARATOR + sample.label
        if len(owners[SEPARATOR + sample.label]) >= enough or not own
        else min(own, key=lambda name: (len(owners[name]), name))
        for sample, own in zip(samples, names, strict=True)
    ]


def _ranges(samples: list[Sample], units: Units) -> list[str]:
    """Return the range of each sample's number, out of those with equally many distinct images."""
    ordered = sorted({units[sample.identity]: float(sample.label) for sample in samples}.values())
    count = max(1, min(RANGES, len(ordered) // RANGE_IMAGES))
    edges = [ordered[len(ordered) * number // count] for number in range(1, count)]
    return [str(bisect_right(edges, float(sample.label))) for sample in samples]


def _keep_labels(samples: list[Sample], units: Units, drawn: dict[str, str], seed: int) -> None:
    """Draw one image for training of every label that would have none."""
    owners: dict[str, set[str]] = defaultdict(set)
    for sample in samples:
        for name in names_of(sample.label, MULTILABEL):
            owners[name].add(units[sample.identity])
    for _, members in sorted(owners.items()):
        if "train" not in {drawn[member] for member in members}:
            drawn[min(members, key=lambda member: _rank(member, seed))] = "train"


def _draw(
    samples: list[Sample], units: Units, strata: list[str], shares: dict[str, float], seed: int
) -> dict[str, str]:
    """Return a split for each unit."""
    classes: dict[str, set[str]] = defaultdict(set)
    for sample, stratum in zip(samples, strata, strict=True):
        classes[stratum].add(units[sample.identity])
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


def _rank(unit: str, seed: int) -> str:
    return hashlib.sha256(os.fsencode(f"{seed} {unit}")).hexdigest()
