"""What tables say: image files, with their labels, splits and groups."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

from graft.data.layout import SPLIT_NAMES, LabelledFile, Listing, label_of
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
from graft.files import from_cell

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
                f"'{self.table}' has the columns {', '.join(self.columns[:20]) or 'none'}"
                f"{f' and {len(self.columns) - 20} more' * (len(self.columns) > 20)}; expected "
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
