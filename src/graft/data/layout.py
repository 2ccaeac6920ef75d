"""What folders mean: splits and classes read from `train/val[/test]/<class>` or `<class>`."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import NamedTuple

from graft.data.find import images_below, images_in, subfolders
from graft.data.target import CLASSIFICATION

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


class Entry(NamedTuple):
    """An image file, what it shows, its split ("" while undecided) and its group ("" for none)."""

    path: Path
    label: str
    split: str
    group: str = ""


class Listing(NamedTuple):
    """The images that a source names, what was left out, in words, and the task of the labels."""

    entries: list[Entry]
    notes: list[str]
    task: str = CLASSIFICATION


def read_folder(root: Path) -> Listing:
    """List the labelled pictures below `root`.

    A folder named as a split (in any case, see `SPLIT_NAMES`) is one if it holds class folders.
    With a training split, or with nothing but splits, the layout is split; everything else is
    flat, and a class may be called "test".

    Args:
        root: An existing folder.

    Returns:
        Every picture that lies in a class folder, at any depth. Empty and hidden folders are no
        classes.
    """
    splits = {
        folder: entries
        for folder in subfolders(root)
        if (split := SPLIT_NAMES.get(folder.name.casefold()))
        and (entries := _classes(folder, split))
    }
    others = [folder for folder in subfolders(root) if splits and folder not in splits]
    others = [folder for folder in others if any(images_below(folder))]
    entries = [entry for group in splits.values() for entry in group]
    has_train = any(entry.split == "train" for entry in entries)
    if not splits or (others and not has_train):
        return Listing(_classes(root, ""), _loose_images([root]))
    return Listing(entries, _left_out(others) + _loose_images([root, *splits]))


def label_of(name: str) -> str:
    r"""Return a class name as all of Graft writes it: composed Unicode.

    macOS hands out decomposed file names, others composed ones; both mean the same class.

    Example:
        >>> label_of("Ka\u0308fer") == "Käfer"
        True
    """
    return unicodedata.normalize("NFC", name)


def _classes(folder: Path, split: str) -> list[Entry]:
    return [
        Entry(image, label_of(group.name), split)
        for group in subfolders(folder)
        for image in images_below(group)
    ]


def _left_out(folders: list[Path]) -> list[str]:
    return [f"Left out: '{folder.name}' lies beside the splits and is none." for folder in folders]


def _loose_images(folders: list[Path]) -> list[str]:
    loose = {folder: len(images_in(folder)) for folder in folders}
    return [
        f"Left out: {count} image{'s' * (count > 1)} directly in '{folder.name}', in no class."
        for folder, count in loose.items()
        if count
    ]
