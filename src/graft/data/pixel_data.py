"""Images that are rows of numbers in a CSV or an IDX file, written out once as image files."""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, NamedTuple, TextIO

import numpy as np

from graft.data.image_files import ImageFiles, cache_place, read_back, write_out
from graft.data.layout import SPLIT_NAMES, Listing, is_hidden, label_of
from graft.errors import DataError
from graft.files import sha256

FEWEST_COLUMNS = 64
"""Numbered columns from which a table counts as one of pixels: 8 x 8, as scikit-learn's digits."""

LONGEST_SIDE = 512
MOST_IMAGES = 1 << 22
_LONGEST_LINE = 8 * 3 * LONGEST_SIDE**2  # in characters, where a value takes four
_SAMPLED = 1 << 17  # pixels from which the order of colours is recognised


class Part(NamedTuple):
    """A file of images, or of images beside one of labels.

    Args:
        split: "train", "val", "test", or "" while undecided.
        images: A CSV with a label and the pixels of an image in each row, or an IDX file.
        labels: The IDX file of its labels; None for a CSV.
    """

    split: str
    images: Path
    labels: Path | None = None


def find_pixel_data(path: Path) -> tuple[list[Part], list[str]]:
    """Find files of pixels: a CSV, IDX files with their labels, or a folder that holds such files.

    Which split a file of a folder is says a word of its name: train, test, t10k and so on. A folder
    `raw` inside, as torchvision makes it, is looked into as well.

    Args:
        path: An existing file or folder.

    Returns:
        The parts, none where it is something else; and notes on what is left out.

    Raises:
        DataError: Pixels without labels, columns that make no square, or files of which several
            could be meant.
    """
    with _damage_is_named(path):
        if path.is_dir():
            places = (path, *path.glob("raw"), *path.glob("*/raw"))
            found = (_in_folder(folder) for folder in places if folder.is_dir())
            return next(filter(any, found), ([], []))
        if _IDX.fullmatch(path.name):
            return [Part("", path, _labels_beside(path))], []
        table = _recognise(path)
        if table is not None:
            table.require_label()
        return ([] if table is None else [Part("", path)]), []


def read_pixel_data(source: Path, parts: list[Part], notes: list[str]) -> Listing:
    """List the images of files that `find_pixel_data` found.

    They are written into the user's cache on the first call, as PGM or PPM: the same pixels are the
    same bytes there, whatever file they came from. As long as the content of the files stays the
    same, later calls only list them.

    Raises:
        DataError: A file is damaged, has too many or too large images, or a value that is no whole
            number from 0 to 255; the line and the column are named.
        ResourceError: The disk is full.
    """
    files = [
        (part.split, sha256(part.images), part.labels and sha256(part.labels)) for part in parts
    ]
    target = cache_place(source.name, ["pixels", files])

    def write(images: ImageFiles) -> None:
        for part in parts:
            with _damage_is_named(part.images):
                images.notes.append(_write(images, part))

    listing = read_back(target)
    if listing is None:
        write_out(write, target, str(source))
        listing = read_back(target)
    assert listing is not None, "just written"
    return listing._replace(notes=[*listing.notes, *notes])


@contextmanager
def _damage_is_named(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error, UnicodeError) as error:
        raise DataError(
            f"'{path}' cannot be read: {str(error) or type(error).__name__}.",
            "Fetch it again.",
        ) from error


def _write(images: ImageFiles, part: Part) -> str:
    """Write the images of a part; returns a note on what they are."""
    if part.labels is None:
        table = _recognise(part.images)
        assert table is not None, "found before"
        rows, (height, width, channels) = table.read(), table.shape
        order = f", {'colour by colour' if table.planar else 'pixel by pixel'}" * (channels == 3)
    else:
        (height, width, channels), rows = read_idx(part.images, part.labels)
        order = ""
    header = f"P{5 if channels == 1 else 6}\n{width} {height}\n255\n".encode()
    suffix = ".pgm" if channels == 1 else ".ppm"
    count = 0
    for label, pixels in rows:
        count += 1
        if count > MOST_IMAGES:
            raise DataError(
                f"'{part.images}' has more than {MOST_IMAGES:,} images.", "Divide the file."
            )
        images.add(header + pixels, suffix, label, part.split)
    kind = "grey" if channels == 1 else "colour"
    return (
        f"'{part.images.name}' holds {count:,} {kind} images of {height} x {width} pixels as rows "
        f"of numbers{order}."
    )


# Tables.

_PIXEL = re.compile(r"(?:pixels?|pix|px|p|x)?[\s_.-]*(\d+)(x\d+)?", re.IGNORECASE)
_LABELS = ("label", "labels", "class", "target", "y")


class _Table:
    """A CSV whose columns are pixels.

    Args:
        path: The file.
        columns: Their names, or numbers as text where the first line is an image already.
        delimiter: Between the cells.
        has_header: Whether the first line holds the names.
    """

    def __init__(self, path: Path, columns: list[str], delimiter: str, has_header: bool) -> None:
        self.path, self.columns, self.delimiter = path, columns, delimiter
        self.has_header = has_header
        self.others = [index for index, name in enumerate(columns) if not _PIXEL.fullmatch(name)]
        labels = (index for index in self.others if columns[index].casefold() in _LABELS)
        self.label = next(labels, None)
        count = len(columns) - len(self.others)
        channels = 3 if count % 3 == 0 and math.isqrt(count // 3) ** 2 == count // 3 else 1
        side = math.isqrt(count // channels)
        if side * side * channels != count or side > LONGEST_SIDE:
            raise DataError(
                f"'{path}' has {count:,} columns of pixels, which make no square image of one or "
                f"three channels, up to {LONGEST_SIDE} x {LONGEST_SIDE}.",
                "Give 784 columns for 28 x 28 grey pixels, 3072 for 32 x 32 in colour, and so on.",
            )
        self.shape = (side, side, channels)
        self.planar = channels == 3 and self._is_planar()

    def require_label(self) -> None:
        """Refuse a table of pixels alone."""
        if self.label is None:
            raise DataError(
                f"'{self.path}' has columns of pixels and none of labels.",
                "Give the table that has a column label, or add one.",
            )

    def read(self) -> Iterator[tuple[str, bytes]]:
        """Yield the label and the pixels of each row, three values together where in colour."""
        self.require_label()
        for number, cells in self._rows():
            label = label_of(cells[self.label or 0].strip().strip('"'))
            if not label or not label.isprintable():
                raise self._error(number, "label", label, "A label in UTF-8 was expected")
            pixels = self._pixels(number, cells)
            if self.planar:
                pixels = np.frombuffer(pixels, np.uint8).reshape(3, -1).T.tobytes()
            yield label, pixels

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        with _text(self.path) as file:
            for number, line in enumerate(_lines(file, self.path), 1):
                cells = line.split(self.delimiter)
                if (number == 1 and self.has_header) or not line:
                    continue
                if len(cells) != len(self.columns):
                    raise DataError(
                        f"Line {number} of '{self.path}' has {len(cells):,} cells; "
                        f"{len(self.columns):,} were expected.",
                        "Complete or remove the line.",
                    )
                yield number, cells

    def _pixels(self, number: int, cells: list[str]) -> bytes:
        values = cells.copy()
        for index in reversed(self.others):
            del values[index]
        try:
            return bytes(map(int, values))
        except ValueError:
            names = [name for index, name in enumerate(self.columns) if index not in self.others]
            for name, value in zip(names, values, strict=True):
                if not re.fullmatch(r"\s*\d{1,3}\s*", value, re.ASCII) or int(value) > 255:
                    expected = "A whole number from 0 to 255 was expected"
                    raise self._error(number, name, value, expected) from None
            raise

    def _is_planar(self) -> bool:
        """Whether all of a colour comes before the next one: neighbours are then more alike."""
        side = self.shape[0]
        count = max(1, _SAMPLED // side**2)
        rows = (self._pixels(*row) for row in islice(self._rows(), count))
        values = np.frombuffer(b"".join(rows), np.uint8).astype(np.int16)
        planes = values.reshape(-1, 3, side, side)
        pixels = values.reshape(-1, side, side, 3).transpose(0, 3, 1, 2)
        return bool(_roughness(planes) < _roughness(pixels))

    def _error(self, number: int, column: str, value: str, expected: str) -> DataError:
        return DataError(
            f"Line {number} of '{self.path}' has {value[:40]!r} in the column '{column}'. "
            f"{expected}.",
            "Correct it; multiply values from 0 to 1 by 255 and round them.",
        )


def _roughness(images: np.ndarray) -> float:
    if not images.size:
        return 0.0
    across, down = np.diff(images, axis=3), np.diff(images, axis=2)
    return float(np.abs(across).mean() + np.abs(down).mean())


def _recognise(path: Path) -> _Table | None:
    """Return the table if it is one of pixels; None if it is something else."""
    if path.suffix.casefold() not in (".csv", ".tsv"):
        return None
    with _text(path) as file:
        line = file.readline(_LONGEST_LINE).rstrip("\r\n")
    delimiter = max(",;\t", key=line.count)
    cells = [cell.strip().strip('"').strip() for cell in line.split(delimiter)]
    if len(cells) > FEWEST_COLUMNS and all(re.fullmatch(r"\d{1,3}", cell) for cell in cells):
        numbered = cells == [*map(str, range(len(cells)))]  # by a program that had no names
        return _Table(path, ["label", *map(str, range(1, len(cells)))], delimiter, numbered)
    pixels = [found for cell in cells if (found := _PIXEL.fullmatch(cell))]
    if len(pixels) < FEWEST_COLUMNS or "path" in map(str.casefold, cells):
        return None
    numbers = [int(found[1]) for found in pixels if not found[2]]
    if numbers and numbers != [*range(numbers[0], numbers[0] + len(pixels))]:
        raise DataError(
            f"The columns of pixels of '{path}' are not in the order of their numbers.",
            "Sort the columns.",
        )
    return _Table(path, cells, delimiter, True)


def _text(path: Path) -> TextIO:
    # utf-8-sig drops the mark that spreadsheets put first.
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def _lines(file: TextIO, path: Path) -> Iterator[str]:
    while line := file.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise DataError(f"'{path}' has a line of more than {len(line):,} characters.")
        yield line.rstrip("\r\n")


# IDX files.

_IDX = re.compile(r"(.*)images?([-._]idx)[34]([-._]ubyte)(\.gz)?", re.IGNORECASE)


def _labels_beside(images: Path) -> Path:
    found = _IDX.fullmatch(images.name)
    assert found, "asked before"
    name = f"{found[1]}labels{found[2]}1{found[3]}"
    for suffix in dict.fromkeys((found[4] or "", "", ".gz")):
        if (images.parent / (name + suffix)).is_file():
            return images.parent / (name + suffix)
    raise DataError(f"'{images}' has no labels beside it.", f"Put '{name}' into the same folder.")


def read_idx(
    images: Path, labels: Path
) -> tuple[tuple[int, int, int], Iterator[tuple[str, bytes]]]:
    """Return height, width and channels, and the label and pixels of each image."""
    with _binary(images) as file:
        count, *shape = _sizes(file, images)
    with _binary(labels) as file:
        sizes = _sizes(file, labels)
        named = file.read(MOST_IMAGES + 1)
    height, width, channels = (*shape, 1) if len(shape) == 2 else (shape or [0, 0, 0])[:3]
    if not (0 < height <= LONGEST_SIDE and 0 < width <= LONGEST_SIDE and channels in (1, 3)):
        raise DataError(
            f"'{images}' has images of shape {tuple(shape)}; height and width up to "
            f"{LONGEST_SIDE} were expected.",
            "Give an IDX file of images.",
        )
    if sizes != [count] or len(named) != count:
        raise DataError(
            f"'{images}' has {count:,} images and '{labels}' {len(named):,} labels.",
            "Fetch both files again.",
        )

    def rows() -> Iterator[tuple[str, bytes]]:
        with _binary(images) as file:
            _sizes(file, images)
            for label in named:
                pixels = file.read(height * width * channels)
                if len(pixels) < height * width * channels:
                    raise EOFError("it ends before its last image")
                yield str(label), pixels
            if file.read(1):
                raise EOFError("it goes on behind its last image")

    return (height, width, channels), rows()


def _binary(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.suffix.casefold() == ".gz" else path.open("rb")  # type: ignore[return-value]


def _sizes(file: IO[bytes], path: Path) -> list[int]:
    """Read the header: two zeros, the kind of the numbers, how many sizes, and the sizes."""
    head = file.read(4)
    if len(head) < 4 or head[:3] != b"\0\0\x08" or not 1 <= head[3] <= 4:
        raise DataError(
            f"'{path}' does not begin as an IDX file of bytes does.", "Fetch the file again."
        )
    data = file.read(4 * head[3])
    if len(data) < 4 * head[3]:
        raise EOFError("it ends in its header")
    sizes = list(struct.unpack(f">{head[3]}I", data))
    if sizes[0] > MOST_IMAGES:
        raise DataError(f"'{path}' has {sizes[0]:,} entries; {MOST_IMAGES:,} are the most.")
    return sizes


# Folders.


def _in_folder(folder: Path) -> tuple[list[Part], list[str]]:
    files = sorted(file for file in folder.iterdir() if file.is_file() and not is_hidden(file.name))
    idx = {
        file.name.removesuffix(".gz"): file for file in reversed(files) if _IDX.fullmatch(file.name)
    }
    tables = {file: table for file in files if (table := _recognise(file))}
    if idx:
        notes = [f"Left out: '{file.name}', beside IDX files." for file in tables]
        parts = [Part(_split_in(file.name), file, _labels_beside(file)) for file in idx.values()]
    else:
        bare = [file for file, table in tables.items() if table.label is None]
        notes = [f"Left out: '{file.name}', which has no labels." for file in bare]
        parts = [Part(_split_in(file.name), file) for file in tables if file not in bare]
    split, count = Counter(part.split for part in parts).most_common(1)[0] if parts else ("", 0)
    if count > 1:
        several = ", ".join(f"'{part.images.name}'" for part in parts if part.split == split)
        raise DataError(
            f"'{folder}' has several files of pixels that could be meant: {several}.",
            "Give one of them in place of the folder.",
        )
    return sorted(parts), notes


def _split_in(name: str) -> str:
    """Return the split that a word of a file name says, "" for none."""
    words = re.split(r"[\W_]+", name.casefold())
    found = {"test" if word == "t10k" else SPLIT_NAMES.get(word, "") for word in words} - {""}
    return found.pop() if len(found) == 1 else ""
