"""What folders and tables say: image files, their labels and their splits."""

from __future__ import annotations

import csv
import glob
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from graft.data.decode import is_image
from graft.data.target import (
    CLASSIFICATION,
    COLUMNS,
    MULTILABEL,
    REGRESSION,
    SEPARATOR,
    join_names,
    number_of,
)
from graft.errors import DataError, nearest
from graft.files import from_cell, readable_path

# A file so named is meant as an image, even where this program cannot read the format: it is set
# aside with a reason and not passed over.
_IMAGE_SUFFIX = re.compile(
    r"\.(jpe?g|jpe|jfif|mpo|png|gif|bmp|tiff?|webp|avif|jp2|p[bgnp]m|ico|hei[cf]|tga|psd|svg)",
    re.IGNORECASE,
)
_CLUTTER = frozenset({"__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "@eadir"})


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
        images = [match for match in matches if match.is_file() and _is_image(match)]
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

    A folder named as a split (in any case, see `SPLIT_NAMES`) is one if it holds class folders.
    With a training split, or with nothing but splits, the layout is split; everything else is
    flat, and a class may be called "test".

    Args:
        root: An existing folder.

    Returns:
        Every image that lies in a class folder, at any depth. Empty and hidden folders are no
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


def _classes(folder: Path, split: str) -> list[LabelledFile]:
    return [
        LabelledFile(image, label_of(group.name), split)
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


OWN = ("path", "split", "group")
"""Columns that hold no target."""

WRITTEN = {"path", "split", "sha256", "width", "height", "state"}
"""Columns of a table that Graft wrote, with names as `to_cell` has them."""


def read_table(table: Path, task: str | None = None) -> Listing:
    r"""List the labelled images of a table, and recognise the task from its columns.

    Beside `path`, and `split` if there is one, a table has `label` (a class), `labels` (any number
    of labels, separated by semicolons), `value` (a number), or a column of 0 and 1 for each label.
    Images with the same `group`, such as a patient, are kept in one split. Columns may come in any
    order; others are ignored. Commas, semicolons or tabs separate them.

    Args:
        table: An existing file with a header row. Relative paths in it start at its folder.
        task: Whose column to read, of a table with the columns of several tasks.

    Raises:
        DataError: The table is not text, lacks a column, has two kinds of targets, or a row lacks
            a value, has one that cannot be meant or names an unknown split; the row is named.

    Example:
        >>> import tempfile
        >>> table = Path(tempfile.mkdtemp()) / "photos.csv"
        >>> _ = table.write_text("path,label,split\nant.jpg,ants,training\n")
        >>> [(entry.path.name, entry.label, entry.split) for entry in read_table(table).entries]
        [('ant.jpg', 'ants', 'train')]
        >>> _ = table.write_text("path,winged,striped\nbee.jpg,1,1\nant.jpg,0,0\n")
        >>> read_table(table).task, [entry.label for entry in read_table(table).entries]
        ('multilabel', ['striped;winged', ''])
    """
    try:
        # utf-8-sig drops the mark that spreadsheets put first; surrogateescape keeps file names
        # that are not UTF-8.
        with table.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            header = file.readline()
            delimiter = max(",;\t", key=header.count)
            file.seek(0)
            columns, *rows = list(csv.reader(file, delimiter=delimiter)) or [[]]
    except (OSError, csv.Error) as error:
        raise DataError(
            f"The table '{table}' cannot be read: {error}.", "Give a CSV file in UTF-8."
        ) from error
    return _Table(table, columns, rows, task).listing()


class _Table:
    """The columns and rows of a table, and sentences about what is wrong with them."""

    def __init__(
        self, table: Path, columns: list[str], rows: list[list[str]], wanted: str | None
    ) -> None:
        self.table, self.columns, self.wanted = table, columns, wanted
        self.positions = {name.strip().casefold(): index for index, name in enumerate(columns)}
        self.rows = [(number, row) for number, row in enumerate(rows, 2) if row]
        if set(self.positions) >= WRITTEN:
            self.rows = [(number, [*map(from_cell, row)]) for number, row in self.rows]
        self.flags: dict[str, int] = {}

    def listing(self) -> Listing:
        """Return the entries, with the task that the columns say."""
        task = self.task()
        target = {CLASSIFICATION: self.label, MULTILABEL: self.labels, REGRESSION: self.value}[task]
        if self.flags:
            target = self.flagged
        entries = [self.entry(number, row, target) for number, row in self.rows]
        named = {name for entry in entries for name in entry.label.split(SEPARATOR)}
        empty = [name for name in self.flags if label_of(name) not in named]
        notes = [f"Left out: no image has the label '{name}', all are 0." for name in empty]
        return Listing(entries, notes, task)

    def task(self) -> str:
        """Recognise the task from the columns."""
        found = [task for task, column in COLUMNS.items() if column in self.positions]
        if self.wanted in found:
            found = [self.wanted]
        elif self.wanted == MULTILABEL and self.flag_columns():
            found = []  # the other columns are those of other tasks
        if "path" in self.positions and len(found) == 1:
            return found[0]
        if len(found) > 1:
            raise DataError(
                f"'{self.table}' has the columns {' and '.join(COLUMNS[task] for task in found)}, "
                "which mean different tasks.",
                "Say which is to be learned: --task classification, multilabel or regression.",
            )
        self.flags = self.flag_columns() if "path" in self.positions else {}
        if not self.flags:
            raise DataError(
                f"'{self.table}' has the columns {', '.join(self.columns) or 'none'}; expected "
                "path and label (or labels, value, or a column of 0 and 1 for each label).",
                "Name the columns in the first row; the splits, if there are any, split.",
            )
        return MULTILABEL

    def flag_columns(self) -> dict[str, int]:
        """Return the columns in which a 0 or a 1 occurs: each stands for a label."""
        return {
            name.strip(): index
            for index, name in enumerate(self.columns)
            if name.strip() and name.strip().casefold() not in (*OWN, *COLUMNS.values())
            if any(_cell(row, index) in ("0", "1") for _, row in self.rows)
        }

    def entry(
        self, number: int, row: list[str], target: Callable[[int, list[str]], str]
    ) -> LabelledFile:
        """Return what one row says."""
        path, split = self.cell(row, "path"), self.cell(row, "split")
        if not path:
            raise self.error(number, "has no path", "Complete or remove the row.")
        if split and split.casefold() not in SPLIT_NAMES:
            raise self.error(
                number,
                f"has the split '{split}'",
                f"Known are {nearest(split, SPLIT_NAMES)}; leave it empty to have it drawn.",
            )
        label = target(number, row)
        if not label.isprintable():
            raise self.error(
                number,
                f"has the label {label!r}, which is not readable text",
                "Save the table in UTF-8.",
            )
        absolute = Path(os.path.normpath(self.table.parent / path))
        return LabelledFile(
            absolute, label, SPLIT_NAMES.get(split.casefold(), ""), self.cell(row, "group")
        )

    def label(self, number: int, row: list[str]) -> str:
        """Return the class of a row."""
        label = self.cell(row, "label")
        if not label:
            raise self.error(number, "has no label", "Complete or remove the row.")
        return label_of(label)

    def labels(self, number: int, row: list[str]) -> str:
        """Return the labels of a row; there may be none."""
        if self.positions["labels"] >= len(row):
            raise self.error(number, "has no cell for labels", "Leave it empty for none of them.")
        return join_names(map(label_of, self.cell(row, "labels").split(SEPARATOR)))

    def value(self, number: int, row: list[str]) -> str:
        """Return the number of a row."""
        text = self.cell(row, "value")
        if not text:
            raise self.error(number, "has no value", "Complete or remove the row.")
        try:
            return repr(number_of(text))
        except ValueError:
            raise self.error(
                number,
                f"has the value {text[:40]!r}, which is no finite number",
                "Write numbers as in 2.5, or remove the row.",
            ) from None

    def flagged(self, number: int, row: list[str]) -> str:
        """Return the labels of a row whose columns are 1."""
        for name, index in self.flags.items():
            if _cell(row, index) not in ("0", "1"):
                raise self.error(
                    number,
                    f"has {_cell(row, index)[:40]!r} in the column '{name}', which elsewhere says "
                    "by 0 or 1 whether an image has that label",
                    "Write 0 or 1; remove the column if it is no label.",
                )
            if SEPARATOR in name:
                raise self.error(1, f"names a label with '{SEPARATOR}', '{name}'", "Rename it.")
        return join_names(
            label_of(name) for name, index in self.flags.items() if _cell(row, index) == "1"
        )

    def cell(self, row: list[str], column: str) -> str:
        """Return what a row has in a column, "" for nothing."""
        return _cell(row, self.positions.get(column, len(row)))

    def error(self, number: int, what: str, hint: str) -> DataError:
        """Return an error that names the row."""
        return DataError(f"Row {number} of '{self.table}' {what}.", hint)


def _cell(row: list[str], index: int) -> str:
    return row[index].strip() if index < len(row) else ""
