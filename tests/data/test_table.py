from __future__ import annotations

import re
from pathlib import Path

import pytest

from graft.data.manifest import Manifest, Sample
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
    assert read_table(table).entries == [(tmp_path / "1.jpg", "ants", "", "")]


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


def test_names_in_a_table_that_graft_wrote_are_what_they_were(tmp_path):
    sample = Sample("/photos/=cmd().jpg", "-rf\\", "train", "0" * 64, 4, 4)
    Manifest((sample,), "/photos").save(tmp_path / "split.csv")
    assert read_table(tmp_path / "split.csv").entries == [
        (Path("/photos/=cmd().jpg"), "-rf\\", "train", "")
    ]
    table = write(tmp_path, "path,label\n/photos/\\u0031.jpg,a\n")
    assert read_table(table).entries == [(Path("/photos/\\u0031.jpg"), "a", "", "")]


def labels_of(listing):
    return [entry.label for entry in listing.entries]


def test_several_labels_are_sorted_and_named_once_and_may_be_none(tmp_path):
    table = write(tmp_path, "path,labels\n1.jpg, wing;stripe ;wing\n2.jpg,\n3.jpg,;wing;\n")
    found = read_table(table)
    assert found.task == "multilabel"
    assert labels_of(found) == ["stripe;wing", "", "wing"]


def test_a_column_of_0_and_1_is_a_label_and_other_columns_are_none(tmp_path):
    table = write(tmp_path, "wing,path,note,stripe,group\n1,1.jpg,x,0,1\n1,2.jpg,,1,0\n")
    found = read_table(table)
    assert found.task == "multilabel"
    assert labels_of(found) == ["wing", "stripe;wing"]


def test_a_label_that_no_image_has_is_left_out_in_words(tmp_path):
    table = write(tmp_path, "path,wing,sting\n1.jpg,1,0\n2.jpg,0,0\n")
    assert read_table(table).notes == ["Left out: no image has the label 'sting', all are 0."]


def test_a_number_is_written_as_python_writes_it(tmp_path):
    table = write(tmp_path, "path,value\n1.jpg,2.50\n2.jpg,-1e-3\n3.jpg, 7\n")
    found = read_table(table)
    assert found.task == "regression"
    assert labels_of(found) == ["2.5", "-0.001", "7.0"]


def test_a_class_beside_other_columns_is_classification(tmp_path):
    found = read_table(write(tmp_path, "path,label,wet\n1.jpg,ants,0\n2.jpg,bees,1\n"))
    assert (found.task, labels_of(found)) == ("classification", ["ants", "bees"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("path,wing\n1.jpg,1\n2.jpg,2\n", "Row 3 .* '2' in the column 'wing'.* 0 or 1"),
        ("path,wing,sting\n1.jpg,1,0\n2.jpg,,1\n", "Row 3 .* '' in the column 'wing'"),
        ("path,wing\n1.jpg,0\n2.jpg,nan\n", "Row 3 .* 'nan'"),
        ("path,a;b\n1.jpg,0\n", "names a label with ';'"),
        ("path,value\n1.jpg,\n", "Row 2 .* has no value"),
        ("path,value\n1.jpg,1\n2.jpg,nan\n", "Row 3 .* 'nan', which is no finite number"),
        ("path,value\n1.jpg,-inf\n", "no finite number"),
        (f"path,value\n1.jpg,{'9' * 5000}\n", "no finite number"),
        ("path,value\n1.jpg,large\n", "'large', which is no finite number"),
        ("path;value\n1.jpg;2,5\n", "'2,5', which is no finite number"),
        ("path,labels\n1.jpg\n", "Row 2 .* no cell for labels"),
        ("path,label,value\n1.jpg,ants,1\n", "label and value, which mean different tasks"),
        ("path,labels,label\n1.jpg,a,a\n", "label and labels, which mean different tasks"),
        ("value,split\n1,train\n", "expected path"),
        ("path,name\n1.jpg,ants\n", "expected path and label .* 0 and 1"),
        (b"path,labels\n1.jpg,K\xe4fer\n", "UTF-8"),
    ],
)
def test_targets_that_cannot_be_meant_are_refused_in_words(tmp_path, content, words):
    with pytest.raises(DataError) as refused:
        read_table(write(tmp_path, content))
    assert re.search(words, str(refused.value))
    assert len(str(refused.value)) < 500


def test_a_group_is_read_from_its_column(tmp_path):
    table = write(tmp_path, "path,label,group\n1.jpg,ants,nest 1\n2.jpg,bees,\n")
    assert [entry.group for entry in read_table(table).entries] == ["nest 1", ""]
