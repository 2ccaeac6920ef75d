from __future__ import annotations

import pytest

from graft.data.table import read_table
from graft.errors import DataError


def write(tmp_path, content):
    table = tmp_path / "photos.csv"
    table.write_bytes(content if isinstance(content, bytes) else content.encode())
    return table


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_columns_come_in_any_order_with_any_usual_separator(tmp_path, separator):
    rows = [("Label", "note", " path "), ("ants", "x", "sub/../1.jpg")]
    table = write(tmp_path, "\n".join(separator.join(row) for row in rows))
    assert read_table(table).entries == [(tmp_path / "1.jpg", "ants", "")]


def test_relative_paths_start_at_the_table_and_absolute_ones_stay(tmp_path):
    table = write(tmp_path, "path,label,split\n1.jpg,a,train\n/photos/2.jpg,b,Validation\n")
    paths = [entry.path.as_posix() for entry in read_table(table).entries]
    assert paths == [f"{tmp_path.as_posix()}/1.jpg", "/photos/2.jpg"]
    assert [entry.split for entry in read_table(table).entries] == ["train", "val"]


def test_a_spreadsheets_byte_order_mark_and_blank_lines_are_ignored(tmp_path):
    table = write(tmp_path, b"\xef\xbb\xbfpath,label\r\n1.jpg,ants\r\n\r\n")
    assert [entry.label for entry in read_table(table).entries] == ["ants"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "columns none"),
        ("file,class\n1.jpg,ants\n", "columns file, class"),
        ("path,label\n1.jpg\n", "Row 2 .* has no label"),
        ("path,label\n1.jpg,ants\n,bees\n", "Row 3 .* has no path"),
        ("path,label,split\n1.jpg,ants,holdout\n", "Row 2 .* 'holdout'"),
        (b"path,label\n1.jpg,K\xe4fer\n", "UTF-8"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(tmp_path, content, words):
    with pytest.raises(DataError, match=words):
        read_table(write(tmp_path, content))
