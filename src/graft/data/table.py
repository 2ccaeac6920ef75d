"""Labelled pictures from a CSV table: `path,label[,split]`."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from graft.data.layout import SPLIT_NAMES, Entry, Listing, label_of
from graft.errors import DataError, nearest


def read_table(table: Path) -> Listing:
    r"""List the labelled pictures of a table.

    Columns may come in any order; others are ignored. Commas, semicolons or tabs separate them.

    Args:
        table: An existing file with a header row. Relative paths in it start at its folder.

    Raises:
        DataError: The table is not text, lacks a column, or a row lacks a value or names an
            unknown split; the row is named.

    Example:
        >>> import tempfile
        >>> table = Path(tempfile.mkdtemp()) / "photos.csv"
        >>> _ = table.write_text("path,label,split\nant.jpg,ants,training\n")
        >>> [(entry.path.name, entry.label, entry.split) for entry in read_table(table).entries]
        [('ant.jpg', 'ants', 'train')]
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
    positions = _positions(table, columns)
    entries = [_entry(table, number, row, positions) for number, row in enumerate(rows, 2) if row]
    return Listing(entries, [])


def _positions(table: Path, columns: list[str]) -> dict[str, int]:
    positions = {name.strip().casefold(): index for index, name in enumerate(columns)}
    if not {"path", "label"} <= positions.keys():
        raise DataError(
            f"'{table}' has the columns {', '.join(columns) or 'none'}; expected path and label.",
            "Name the columns path, label and, if there is one, split in the first row.",
        )
    return positions


def _entry(table: Path, number: int, row: list[str], positions: dict[str, int]) -> Entry:
    def value(column: str) -> str:
        index = positions.get(column, len(row))
        return row[index].strip() if index < len(row) else ""

    path, label, split = value("path"), value("label"), value("split")
    if not path or not label:
        raise DataError(
            f"Row {number} of '{table}' has no {'label' if path else 'path'}.",
            "Complete or remove the row.",
        )
    if not label.isprintable():
        raise DataError(
            f"Row {number} of '{table}' has the label {label!r}, which is not readable text.",
            "Save the table in UTF-8.",
        )
    if split and split.casefold() not in SPLIT_NAMES:
        raise DataError(
            f"Row {number} of '{table}' has the split '{split}'.",
            f"Known are {nearest(split, SPLIT_NAMES)}; leave it empty to have it drawn.",
        )
    absolute = Path(os.path.normpath(table.parent / path))
    return Entry(absolute, label_of(label), SPLIT_NAMES.get(split.casefold(), ""))
