from __future__ import annotations

import unicodedata
from collections import Counter

import pytest

from graft.data.layout import read_folder


def counted(listing):
    return dict(Counter((entry.split, entry.label) for entry in listing.entries))


@pytest.mark.parametrize("train", ["train", "Training", "TRAIN"])
@pytest.mark.parametrize("val", ["val", "valid", "Validation", "dev"])
@pytest.mark.parametrize("test", ["test", "testing"])
def test_splits_are_known_by_their_usual_names(make_folder, train, val, test):
    root = make_folder({f"{train}/ants": 2, f"{val}/ants": 1, f"{test}/ants": 1})
    assert counted(read_folder(root)) == {
        ("train", "ants"): 2,
        ("val", "ants"): 1,
        ("test", "ants"): 1,
    }


def test_a_flat_folder_has_no_splits_yet(make_folder):
    assert counted(read_folder(make_folder({"ants": 2, "bees": 1}))) == {
        ("", "ants"): 2,
        ("", "bees"): 1,
    }


def test_hidden_and_empty_folders_are_no_classes(make_folder):
    root = make_folder({"ants": 1, "bees": 1, ".git": 1, "__MACOSX": 1, "empty": 0, "text": 0})
    (root / "text" / "notes.txt").write_text("no image")
    assert counted(read_folder(root)).keys() == {("", "ants"), ("", "bees")}


def test_hidden_and_empty_folders_are_no_classes_of_a_split_either(make_folder):
    root = make_folder({"train/ants": 1, "train/.ipynb_checkpoints": 1, "train/empty": 0})
    assert counted(read_folder(root)).keys() == {("train", "ants")}


def test_folders_inside_a_class_belong_to_it(make_folder):
    assert counted(read_folder(make_folder({"ants/red/small": 2, "ants": 1}))) == {("", "ants"): 3}


def test_a_class_may_be_called_train(make_folder):
    assert counted(read_folder(make_folder({"car": 1, "train": 2}))) == {
        ("", "car"): 1,
        ("", "train"): 2,
    }


def test_one_class_name_in_two_unicode_spellings_is_one_class(make_folder):
    spellings = [unicodedata.normalize(form, "käfer") for form in ("NFC", "NFD")]
    root = make_folder({f"train/{spellings[0]}": 1, f"val/{spellings[1]}": 1})
    assert {entry.label for entry in read_folder(root).entries} == {"käfer"}


def test_what_lies_outside_classes_and_splits_is_said(make_folder):
    root = make_folder({"train/ants": 1, "val/ants": 1, "extra": 3, "test": 2, "papers": 0})
    assert read_folder(root).notes == [
        "Left out: 'extra' lies beside the splits and is none.",
        "Left out: 'test' lies beside the splits and is none.",
    ]
    assert read_folder(make_folder({".": 2})).notes[-1:] == [
        "Left out: 2 images directly in 'photos', in no class."
    ]


def test_real_layouts_are_understood(shared):
    assert counted(read_folder(shared / "data/hymenoptera")) == {
        ("train", "ants"): 124,
        ("train", "bees"): 121,
        ("val", "ants"): 70,
        ("val", "bees"): 83,
    }
    assert len(read_folder(shared / "data/hymenoptera/val").entries) == 153
