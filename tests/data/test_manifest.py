from __future__ import annotations

import pytest

from graft.data.manifest import Manifest, Sample
from graft.data.table import read_table
from graft.errors import DataError

SAMPLES = (
    Sample("/photos/b.jpg", "bees", "train", "b" * 64, 4, 3),
    Sample("/photos/a, or \n'b'.jpg", 'ants "red"', "val", "a" * 64, 5, 6),
    Sample("/photos/\udcff.jpg", "käfer", "train", "c" * 64, 1, 1),
    Sample("/photos/d.jpg", "wasps", "train", "d" * 64, 0, 0, "zero bytes", "nest 1"),
)


def test_what_is_saved_is_what_is_loaded(tmp_path):
    manifest = Manifest(SAMPLES, root="/photos")
    manifest.save(tmp_path / "split.csv")
    assert Manifest.load(tmp_path / "split.csv") == manifest


def test_the_columns_are_the_documented_ones(tmp_path):
    Manifest(SAMPLES, root="/photos").save(tmp_path / "split.csv")
    header = (tmp_path / "split.csv").read_bytes().splitlines()[0]
    assert header == b"path,label,split,sha256,width,height,state,group,twin"


def test_classes_come_from_the_readable_training_images_sorted_by_name():
    assert Manifest(SAMPLES, root="").classes == ("bees", "käfer")


def test_subsets_do_not_depend_on_the_order_of_the_samples():
    forwards, backwards = Manifest(SAMPLES, root=""), Manifest(SAMPLES[::-1], root="")
    assert forwards.subset("train") == backwards.subset("train")


def test_a_sample_set_aside_is_in_no_subset():
    manifest = Manifest(SAMPLES, root="")
    assert manifest.set_aside == (SAMPLES[3],)
    assert SAMPLES[3] not in manifest.subset("train")
    assert manifest.counts() == {"train": {"bees": 1, "käfer": 1}, "val": {'ants "red"': 1}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "has the columns"),
        ("path,label\n", "has the columns path, label"),
        ("path,label,split,sha256,width,height,state,group\na,b,train\n", "damaged row"),
        (
            "path,label,split,sha256,width,height,state,group\na,b,train,,wide,3,ok,\n",
            "damaged row",
        ),
    ],
)
def test_a_damaged_table_is_named(tmp_path, content, words):
    (tmp_path / "split.csv").write_text(content)
    with pytest.raises(DataError, match=words):
        Manifest.load(tmp_path / "split.csv")


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(DataError, match=r"split\.csv"):
        Manifest.load(tmp_path / "split.csv")


@pytest.mark.parametrize(
    ("task", "column", "labels"),
    [("multilabel", "labels", ("a;b", "")), ("regression", "value", ("-2.5", "1e+300"))],
)
def test_the_task_is_saved_in_the_name_of_the_labels_column(tmp_path, task, column, labels):
    samples = tuple(
        Sample(f"/photos/{n}.jpg", label, "train", f"{n:064x}") for n, label in enumerate(labels)
    )
    manifest = Manifest(samples, root="/photos", task=task)
    manifest.save(tmp_path / "split.csv")
    header = (tmp_path / "split.csv").read_text().splitlines()[0]
    assert header == f"path,{column},split,sha256,width,height,state,group,twin"
    assert Manifest.load(tmp_path / "split.csv") == manifest
    listing = read_table(tmp_path / "split.csv")
    assert (listing.task, tuple(entry.label for entry in listing.entries)) == (task, labels)


def test_a_number_that_is_none_is_damage(tmp_path):
    samples = (Sample("/photos/1.jpg", "nan", "train"),)
    Manifest(samples, root="/photos", task="regression").save(tmp_path / "split.csv")
    with pytest.raises(DataError, match="damaged row"):
        Manifest.load(tmp_path / "split.csv")


def test_labels_are_counted_one_by_one_and_numbers_not_at_all():
    samples = tuple(
        Sample(f"/{n}.jpg", label, split)
        for n, (label, split) in enumerate([("a;b", "train"), ("b", "train"), ("", "val")])
    )
    manifest = Manifest(samples, root="/", task="multilabel")
    assert manifest.classes == ("a", "b")
    assert manifest.counts() == {"train": {"a": 1, "b": 2}, "val": {}}
    numbers = Manifest((Sample("/1.jpg", "2.5", "train"),), root="/", task="regression")
    assert (numbers.classes, numbers.counts()) == ((), {"train": {}})
