"""What is wrong with a data set, said before training: errors raised, doubts returned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain, compress

from graft.data.manifest import Manifest, Sample
from graft.data.target import CLASSIFICATION, MULTILABEL, REGRESSION, number_of
from graft.errors import DataError

_NAMED = 5  # examples given by name
FEW_IMAGES = 5
FEW_NUMBERS = 20
HEAVY_IMBALANCE = 10

_SPLITS = {"train": "training", "val": "validation"}


def check(manifest: Manifest, *, max_unreadable: float = 0.2) -> list[str]:
    """Look at a split manifest before training on it.

    Args:
        manifest: What `assign_splits` returned.
        max_unreadable: Largest share of images that may be set aside, in [0, 1].

    Returns:
        One sentence per doubt: images set aside, the same image or group in two splits (a leak), an
        image under
        two labels, classes or labels that are missing from validation, tiny, far outnumbered or
        everywhere, and numbers that are few or all equal in validation.

    Raises:
        DataError: Training would be impossible or meaningless: no images, one class, nothing to
            train or to validate on, too many unreadable images, a class whose every training
            image is unreadable, a label that training does not know, numbers that are not finite
            or all equal.

    Example:
        >>> photos = tuple(
        ...     Sample(f"/{n}.jpg", "ab"[n % 2], "train" if n < 10 else "val", f"{n:064x}")
        ...     for n in range(12)
        ... )
        >>> check(Manifest(photos, root="/"))
        []
    """
    _refuse(manifest, max_unreadable)
    return [
        *manifest.notes,
        *_set_aside(manifest),
        *_leaks(manifest),
        *_groups(manifest),
        *_conflicts(manifest),
        *_missing_from_validation(manifest),
        *_small_classes(manifest),
    ]


def _refuse(manifest: Manifest, max_unreadable: float) -> None:
    _refuse_unreadable(manifest, max_unreadable)
    train = manifest.subset("train")
    if not train:
        raise DataError(f"'{manifest.root}' has no training images.", "Add a folder 'train'.")
    if manifest.task == REGRESSION:
        _refuse_numbers(manifest)
    elif not manifest.classes:
        raise DataError(
            f"No training image of '{manifest.root}' has a label.",
            "Name at least one label in a row of the training split.",
        )
    elif manifest.task == CLASSIFICATION and len(manifest.classes) == 1:
        raise DataError(
            f"'{manifest.root}' has one class only, {_quoted(manifest.classes)}.",
            "Give the folder that holds a folder for each of two classes or more.",
        )
    if not manifest.subset("val"):
        raise DataError(
            f"'{manifest.root}' has no validation images.",
            "Let a share of the training images be drawn for it.",
        )
    for split in ("val", "test"):
        strange = _names(manifest, manifest.subset(split)) - set(manifest.classes)
        if strange:
            raise DataError(
                f"The {split} split has images of {_quoted(sorted(strange))}, which training does "
                "not know.",
                f"Training knows {_quoted(manifest.classes)}.",
            )


def _refuse_unreadable(manifest: Manifest, max_unreadable: float) -> None:
    total, unreadable = len(manifest.samples), manifest.set_aside
    if not total:
        raise DataError(f"'{manifest.root}' holds no labelled images.", "Add some.")
    if len(unreadable) > max_unreadable * total:
        raise DataError(
            f"{len(unreadable)} of {total} images cannot be read, more than the "
            f"{max_unreadable:.0%} allowed: {_with_reasons(unreadable)}.",
            "Replace or remove them.",
        )
    open_ones = [sample for sample in unreadable if sample.split in ("train", "")]
    emptied = _names(manifest, open_ones) - set(manifest.classes)
    if emptied:
        label = min(emptied)
        lost = [sample for sample in unreadable if label in manifest.names(sample)]
        kind = "class" if manifest.task == CLASSIFICATION else "label"
        raise DataError(
            f"No training image of the {kind} '{label}' can be read: {_with_reasons(lost)}.",
            f"Replace its images or remove the {kind}.",
        )


def _refuse_numbers(manifest: Manifest) -> None:
    """Refuse numbers from which nothing can be learned."""
    for sample in manifest.readable:
        try:
            number_of(sample.label)
        except ValueError:
            raise DataError(
                f"'{sample.path}' has the value '{sample.label}', which is no finite number.",
                "Give a number, or remove the image.",
            ) from None
    values = {float(sample.label) for sample in manifest.subset("train")}
    if len(values) == 1:
        raise DataError(
            f"All training images of '{manifest.root}' have the value {min(values):g}.",
            "Give images with different values.",
        )


def _set_aside(manifest: Manifest) -> list[str]:
    if not manifest.set_aside:
        return []
    count = _plural(len(manifest.set_aside), "image")
    return [f"{count} set aside as unreadable: {_with_reasons(manifest.set_aside)}."]


def _leaks(manifest: Manifest) -> list[str]:
    seen: dict[str, list[Sample]] = {}
    warnings = []
    number = "accuracy" if manifest.task == CLASSIFICATION else "score"
    for split, before, effect in (
        ("train", "", ""),
        ("val", "in training", f"the val {number} flatters, and is given without them as well"),
        ("test", "in training or validation", f"the test {number} leaves them out"),
    ):
        samples = manifest.subset(split)
        leaked = list(compress(samples, manifest.leaked(split)))
        if leaked:
            if split == "test" and len(leaked) == len(samples):
                effect = f"there is no test {number}"
            pairs = (f"'{s.path}' is '{seen[s.content][0].path}'" for s in leaked)
            images = _plural(len(samples), f"{split} image")
            warnings.append(
                f"Leak: {len(leaked)} of {images} also {before}, so {effect}: {_named(pairs)}."
            )
        seen = {**_by_content(samples), **seen}
    return warnings


def _groups(manifest: Manifest) -> list[str]:
    trained = {sample.group for sample in manifest.subset("train")} - {""}
    warnings = []
    for split in ("val", "test"):
        shared = trained & {sample.group for sample in manifest.subset(split)}
        if shared:
            warnings.append(
                f"Leak: {_plural(len(shared), 'group')} of the {split} images also in training: "
                f"{_quoted(sorted(shared))}."
            )
    return warnings


def _conflicts(manifest: Manifest) -> list[str]:
    groups = _by_content(manifest.readable).values()
    torn = [group for group in groups if len({sample.label for sample in group}) > 1]
    if not torn:
        return []
    names = (" = ".join(f"'{s.path}' ({s.label})" for s in group) for group in torn)
    of = {CLASSIFICATION: "labels", MULTILABEL: "sets of labels", REGRESSION: "values"}
    return [
        f"{_plural(len(torn), 'image')} under two {of[manifest.task]} or more: {_named(names)}."
    ]


def _missing_from_validation(manifest: Manifest) -> list[str]:
    validated = _names(manifest, manifest.subset("val"))
    missing = [name for name in manifest.classes if name not in validated]
    if not missing:
        return []
    return [f"No validation images of {_quoted(missing)}: nothing is measured for that."]


def _small_classes(manifest: Manifest) -> list[str]:
    if manifest.task == REGRESSION:
        return _doubtful_numbers(manifest)
    counts = manifest.counts()["train"]
    few = [f"'{label}' ({count})" for label, count in counts.items() if count < FEW_IMAGES]
    warnings = [f"Fewer than {FEW_IMAGES} training images of {_named(few)}."] if few else []
    if manifest.task == MULTILABEL:
        return warnings + _everywhere(manifest)
    largest, smallest = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    if counts[largest] >= HEAVY_IMBALANCE * counts[smallest]:
        warnings.append(
            f"Heavy imbalance: {counts[largest]} training images of '{largest}', "
            f"{counts[smallest]} of '{smallest}'."
        )
    return warnings


def _everywhere(manifest: Manifest) -> list[str]:
    """Name labels that every image has: nothing can be learned or measured about them."""
    warnings = []
    for split, what in (("train", "learned"), ("val", "measured")):
        images = len(manifest.subset(split))
        counts = manifest.counts()[split]
        every = [name for name in manifest.classes if counts.get(name) == images]
        if every:
            warnings.append(
                f"All {_plural(images, f'{_SPLITS[split]} image')} have {_quoted(every)}: nothing "
                f"is {what} about that."
            )
    return warnings


def _doubtful_numbers(manifest: Manifest) -> list[str]:
    warnings = []
    distinct = len(_by_content(manifest.subset("train")))
    if distinct < FEW_NUMBERS:
        warnings.append(f"Only {_plural(distinct, 'distinct training image')}.")
    values = {float(sample.label) for sample in manifest.subset("val")}
    if len(values) == 1:
        warnings.append(
            f"All validation images have the value {min(values):g}: R2 is not defined for them."
        )
    return warnings


def _names(manifest: Manifest, samples: Iterable[Sample]) -> set[str]:
    return {name for sample in samples for name in manifest.names(sample)}


def _by_content(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.content].append(sample)
    return dict(groups)


def _with_reasons(samples: Iterable[Sample]) -> str:
    return _named(f"'{sample.path}' ({sample.state})" for sample in samples)


def _quoted(names: Iterable[str]) -> str:
    return _named(f"'{name}'" for name in names)


def _named(names: Iterable[str]) -> str:
    """Join the first few names and count the rest."""
    listed: Sequence[str] = list(names)
    rest = len(listed) - _NAMED
    return ", ".join(chain(listed[:_NAMED], [f"and {rest} more"] if rest > 0 else []))


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
