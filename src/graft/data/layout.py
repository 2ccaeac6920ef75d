"""What folders say: image files, their labels and their splits."""

from __future__ import annotations

import glob
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from graft.data.decode import is_image
from graft.data.target import CLASSIFICATION
from graft.errors import DataError
from graft.files import readable_path

# A file so named is meant as an image, even where this program cannot read the format: it is set
# aside with a reason and not passed over.
_IMAGE_SUFFIX = re.compile(
    r"\.(jpe?g|jpe|jfif|mpo|png|gif|bmp|tiff?|webp|avif|jp2|p[bgnp]m|ico|hei[cf]|tga|psd|svg)",
    re.IGNORECASE,
)
_CLUTTER = frozenset(
    {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "@eadir", "lost+found"}
)


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is one that operating systems leave behind.

    Example:
        >>> [is_hidden(name) for name in (".DS_Store", "__MACOSX", "Thumbs.db", "ants")]
        [True, True, True, False]
    """
    return name.startswith(".") or name.casefold() in _CLUTTER


def subfolders(folder: Path) -> list[Path]:
    """Return the visible folders directly inside `folder`, sorted by name."""
    return _contents(folder).folders


def images_in(folder: Path) -> list[Path]:
    """Return the image files directly inside `folder`, sorted by name."""
    return [file for file in _contents(folder).files if _is_image(file)]


def images_below(folder: Path) -> Iterator[Path]:
    """Yield the image files in `folder` and everything below it, in a stable order.

    Links are followed; a folder that links lead to twice, or in a circle, is entered once.
    """
    entered: set[tuple[int, int]] = set()
    pending = [folder]
    while pending:
        here = pending.pop()
        status = here.stat()
        identity = (status.st_dev, status.st_ino)
        if identity not in entered:
            entered.add(identity)
            folders, files = _contents(here)
            yield from filter(_is_image, files)
            pending.extend(reversed(folders))


def find_images(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Return the images that files, folders and patterns stand for.

    Args:
        paths: Files (taken as they are), folders (searched to any depth) and patterns such as
            "photos/*.jpg" or "photos/**/*.png".

    Returns:
        Every file once: the arguments in the given order, the contents of each sorted.

    Raises:
        DataError: A path does not exist, or a folder or pattern holds no image.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a.jpg").write_bytes(b""), (folder / "notes.txt").write_text("")
        >>> [path.name for path in find_images([folder])]
        ['a.jpg']
    """
    found: dict[Path, None] = {}
    for path in paths:
        found.update(dict.fromkeys(_images_of(readable_path(path))))
    return list(found)


def _images_of(path: Path) -> list[Path]:
    if path.is_dir():
        images = list(images_below(path))
    elif path.exists():
        return [path]
    elif glob.has_magic(str(path)):
        # Path.glob takes no absolute patterns.
        matches = map(Path, sorted(glob.glob(str(path), recursive=True)))  # noqa: PTH207
        images = [
            match
            for match in matches
            if match.is_file() and _is_image(match)
            if not any(is_hidden(part) for part in match.parts if part not in path.parts)
        ]
    else:
        raise DataError(f"'{path}' does not exist.", "Give files, folders or patterns.")
    if not images:
        raise DataError(f"'{path}' holds no images.", "Give files, folders or patterns.")
    return images


class _Contents(NamedTuple):
    folders: list[Path]
    files: list[Path]


def _contents(folder: Path) -> _Contents:
    """Return what is visible directly inside a folder, sorted by name."""
    contents = _Contents([], [])
    try:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if not is_hidden(entry.name):
                    kind = contents.folders if _is_folder(entry) else contents.files
                    kind.append(folder / entry.name)
    except OSError as error:
        raise DataError(
            f"The folder '{folder}' cannot be read: {error.strerror}.",
            "Allow reading it, or move it away.",
        ) from error
    return contents


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads nowhere: set aside with its reason if named as an image
        return False


def _is_image(path: Path) -> bool:
    named_so = _IMAGE_SUFFIX.fullmatch(path.suffix) is not None
    return named_so or is_image(path)


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


class LabelledFile(NamedTuple):
    """An image file, what it shows, its split ("" while undecided) and its group ("" for none)."""

    path: Path
    label: str
    split: str
    group: str = ""


class Listing(NamedTuple):
    """The images of a source, notes on what was left out, and the task of the labels."""

    entries: list[LabelledFile]
    notes: list[str]
    task: str = CLASSIFICATION


def read_folder(root: Path) -> Listing:
    """List the labelled images below `root`.

    A folder named as a split (in any case, see `SPLIT_NAMES`) is one if its images have labels: by
    class folders, or by their file names, such as cat.0.jpg and dog_001.jpg. Beside a training
    split with class folders, or where all folders are named as splits, the layout is split;
    everything else is flat, and a class may be called "test".

    Args:
        root: An existing folder.

    Returns:
        Every image that has a label, and notes on how folders and names were read and on what was
        left out. Empty and hidden folders are no classes.
    """
    folders = [folder for folder in subfolders(root) if any(images_below(folder))]
    splits = {
        folder: SPLIT_NAMES[folder.name.casefold()]
        for folder in folders
        if folder.name.casefold() in SPLIT_NAMES
    }
    others = [folder for folder in folders if folder not in splits]
    in_classes = {folder: _classes(folder, split) for folder, split in splits.items()}
    trained = any(in_classes[folder] for folder, split in splits.items() if split == "train")
    classes = [folder for folder in others if not _NUMBERED_SPLIT.fullmatch(folder.name)]
    if not splits or (classes and not trained):
        return _flat(root)
    return _split(root, splits, in_classes, others)


def _flat(root: Path) -> Listing:
    entries = _classes(root, "")
    return Listing(entries, _loose_images(root)) if entries else _named_images(root, "", ())


def _split(
    root: Path,
    splits: dict[Path, str],
    in_classes: dict[Path, list[LabelledFile]],
    others: list[Path],
) -> Listing:
    entries: list[LabelledFile] = []
    notes = [f"Left out: '{folder.name}' lies beside the splits and is none." for folder in others]
    # The training split first: the labels of the others' file names must be among its labels.
    for folder, split in sorted(splits.items(), key=lambda item: item[1] != "train"):
        if in_classes[folder]:
            entries += in_classes[folder]
            notes += _loose_images(folder)
        else:
            known = {entry.label for entry in entries if entry.split == "train"}
            found = _named_images(folder, split, known)
            entries += found.entries
            notes += found.notes
    renamed = {folder: split for folder, split in splits.items() if folder.name != split}
    if entries and renamed:
        read = [f"'{folder.name}' as {_SPLITS[split]}" for folder, split in renamed.items()]
        notes.insert(0, f"{', '.join(read)}.".replace(" as ", " is read as ", 1))
    return Listing(entries, notes + _loose_images(root))


_SPLITS = {
    "train": "the training split",
    "val": "the validation split",
    "test": "the test split",
}
_NUMBERED_SPLIT = re.compile(rf"({'|'.join(SPLIT_NAMES)})[\W_]?\d+", re.IGNORECASE)
"""A folder beside the splits that is no class, such as the unlabelled test1 of Dogs vs. Cats."""


def _named_images(folder: Path, split: str, known: Collection[str]) -> Listing:
    """List the images directly in a folder, labelled by their file names."""
    images = images_in(folder)
    if not images:
        return Listing([], [])
    try:
        labels = labels_in_names(images, known)
    except ValueError as unclear:
        count = f"{len(images)} image{'s' * (len(images) > 1)}"
        return Listing(
            [], [f"Left out: {count} directly in '{folder.name}', in no class: {unclear}."]
        )
    counts = Counter(labels)
    shown = [f"{label} ({count})" for label, count in sorted(counts.items())]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    note = f"Labels are the beginnings of the file names in '{folder.name}': "
    entries = [
        LabelledFile(image, label, split) for image, label in zip(images, labels, strict=True)
    ]
    return Listing(entries, [f"{note}{', '.join(shown[:_SHOWN])}{more}."])


_SHOWN = 10
_NAME_AND_NUMBER = re.compile(r"(?P<label>.+?)[\s._-]*[(\[]?\d+[)\]]?")
_SERIAL = re.compile(
    r"at|dcim|dsc[fn]?|file|frame|gopr|image|img|mvi|page|photo|pic(ture)?|pxl|sample|scan|"
    r"screenshot|untitled|vid(eo)?|whatsapp"
)
"""Words that cameras and programs put before a number."""


def labels_in_names(images: Iterable[Path], known: Collection[str] = ()) -> list[str]:
    """Return the label that each file name begins with: what comes before its final number.

    Args:
        images: Files such as cat.0.jpg, cat_001.jpg or "cat (1).jpg".
        known: The labels there are; without them, at least two with two images each are expected.

    Raises:
        ValueError: The names cannot be meant as labels, or may mean something else; it says why.

    Example:
        >>> labels_in_names([Path(f"{name}.{n}.jpg") for name in ("cat", "dog") for n in (0, 1)])
        ['cat', 'cat', 'dog', 'dog']
        >>> labels_in_names([Path(f"IMG_{number}.jpg") for number in range(9)])
        Traceback (most recent call last):
        ValueError: all file names begin with 'IMG'
    """
    labels = [_label_in(image) for image in images]
    counts = Counter(labels)
    if known:
        strange = next((label for label in counts if label not in known), None)
        if strange is not None:
            raise ValueError(f"a file name begins with '{strange}', which is no class of training")
        return labels
    if len(counts) == 1:
        raise ValueError(f"all file names begin with '{labels[0]}'")
    if all(label.casefold() in SPLIT_NAMES for label in counts):
        raise ValueError(f"the file names begin with {' and '.join(sorted(counts))}, as splits")
    alike: dict[str, str] = {}
    for label in counts:
        other = alike.setdefault(re.sub(r"\d+", "0", label.casefold()), label)
        if other != label:
            raise ValueError(
                f"file names begin with '{other}' and with '{label}', which may mean one class "
                "or two"
            )
        if all(map(_SERIAL.fullmatch, re.findall(r"[^\W\d_]+", label.casefold()))):
            raise ValueError(f"file names begin with '{label}', as cameras and programs name them")
        if counts[label] == 1:
            raise ValueError(f"only one file name begins with '{label}'")
    return labels


def _label_in(image: Path) -> str:
    found = _NAME_AND_NUMBER.fullmatch(label_of(image.stem))
    if found is None or not any(letter.isalpha() for letter in found["label"]):
        raise ValueError(f"the file name '{image.name}' is no label with a number, as cat_001.jpg")
    return found["label"]


def label_of(name: str) -> str:
    r"""Return a class name as all of Graft writes it: composed Unicode.

    macOS hands out decomposed file names, others composed ones; both mean the same class.

    Example:
        >>> label_of("Ka\u0308fer") == "Käfer"
        True
    """
    return unicodedata.normalize("NFC", name)


def _classes(folder: Path, split: str) -> list[LabelledFile]:
    return [
        LabelledFile(image, label_of(group.name), split)
        for group in subfolders(folder)
        for image in images_below(group)
    ]


def _loose_images(folder: Path) -> list[str]:
    count = len(images_in(folder))
    images = f"{count} image{'s' * (count > 1)}"
    return [f"Left out: {images} directly in '{folder.name}', in no class."] if count else []
