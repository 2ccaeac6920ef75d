from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from graft.data.check import check
from graft.data.manifest import Manifest, Sample, assign_splits
from graft.data.scan import scan
from graft.errors import DataError

SOUND = {"train/ants": 6, "train/bees": 6, "val/ants": 2, "val/bees": 2}


def test_a_sound_data_set_raises_no_doubts(make_folder):
    assert check(scan(make_folder(SOUND))) == []


def test_real_data_sets_are_sound_or_their_leaks_are_named(shared):
    assert check(scan(shared / "data/hymenoptera")) == []
    flowers = check(assign_splits(scan(shared / "data/flowers")))
    assert not any(warning.startswith("Leak") for warning in flowers)


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_leak_is_found_by_content_and_named(make_folder, split):
    root = make_folder({**SOUND, "test/ants": 1, "test/bees": 1})
    shutil.copy(root / "train/bees/003.jpg", root / split / "bees/renamed.jpg")
    (warning,) = check(scan(root))
    assert warning.startswith("Leak: 1 of ")
    assert "train/bees/003.jpg" in warning
    assert f"{split}/bees/renamed.jpg" in warning


def test_an_image_under_two_labels_is_named(make_folder):
    root = make_folder(SOUND)
    shutil.copy(root / "train/bees/003.jpg", root / "train/ants/odd.jpg")
    (warning,) = check(scan(root))
    assert "under two labels" in warning
    assert "ants/odd.jpg' (ants)" in warning
    assert "bees/003.jpg' (bees)" in warning


def test_images_set_aside_are_named_up_to_five_and_counted(make_folder):
    root = make_folder({**SOUND, "train/ants": 40})
    for number in range(7):
        (root / f"train/ants/{number:03}.jpg").write_bytes(b"")
    (warning,) = check(scan(root))
    assert warning.startswith("7 images set aside")
    assert warning.count("(zero bytes)") == 5
    assert "and 2 more" in warning


def test_more_unreadable_images_than_allowed_stop_the_run(make_folder):
    root = make_folder(SOUND)  # 16 images, of which a fifth are 3.2
    for number in range(3):
        (root / f"train/ants/{number:03}.jpg").write_bytes(b"")
    check(scan(root))
    (root / "train/ants/003.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"4 of 16 images cannot be read.*000\.jpg.*zero bytes"):
        check(scan(root))
    check(scan(root), max_unreadable=0.5)


@pytest.mark.parametrize("flat", [True, False])
def test_a_class_emptied_by_unreadable_images_stops_the_run(make_folder, flat):
    train = "" if flat else "train/"
    root = make_folder({f"{train}ants": 1, f"{train}bees": 10, f"{train}wasps": 10})
    (root / f"{train}ants/000.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"'ants' can be read.*zero bytes"):
        check(assign_splits(scan(root)))


def test_a_class_missing_from_validation_is_said(make_folder):
    counts = {**SOUND, "train/wasps": 6}
    assert check(scan(make_folder(counts))) == [
        "No validation images of 'wasps': nothing is measured for that."
    ]


def test_tiny_and_far_outnumbered_classes_are_said(make_folder):
    tiny, imbalance = check(scan(make_folder({**SOUND, "train/ants": 4, "train/bees": 40})))
    assert tiny == "Fewer than 5 training images of 'ants' (4)."
    assert imbalance == "Heavy imbalance: 40 training images of 'bees', 4 of 'ants'."


def test_what_was_left_out_is_said(make_folder):
    (warning,) = check(scan(make_folder({**SOUND, "extra": 2})))
    assert "'extra'" in warning


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"train/ants": 3, "val/ants": 1}, "one class only, 'ants'"),
        ({"val/ants": 3, "val/bees": 1}, "no training images"),
        ({"train/ants": 3, "train/bees": 1}, "no validation images"),
        ({**SOUND, "val/wasps": 1}, "val split has images of 'wasps'"),
        ({**SOUND, "test/wasps": 1}, "test split has images of 'wasps'"),
    ],
)
def test_what_cannot_be_trained_on_stops_the_run(make_folder, counts, words):
    with pytest.raises(DataError, match=words) as caught:
        check(scan(make_folder(counts)))
    assert caught.value.exit_code == 3
    assert caught.value.remedy


def test_no_images_stop_the_run():
    with pytest.raises(DataError, match="no labelled images"):
        check(Manifest((), root="photos"))


def test_samples_whose_content_is_unknown_are_not_copies_of_each_other():
    samples = [
        Sample(f"/{split}/{label}/{n}.jpg", label, split)
        for split in ("train", "val")
        for label in ("ants", "bees")
        for n in range(5)
    ]
    assert check(Manifest(tuple(samples), root="/")) == []


def manifest_of(task: str, train: list[str], val: list[str]) -> Manifest:
    rows = [(label, "train") for label in train] + [(label, "val") for label in val]
    samples = (Sample(f"/{n}.jpg", *row, f"{n:064x}") for n, row in enumerate(rows))
    return Manifest(tuple(samples), root="/photos", task=task)


def test_sound_labels_and_numbers_raise_no_doubts():
    labels = ["a", "b", "a;b", ""] * 6
    assert check(manifest_of("multilabel", labels, labels)) == []
    numbers = [repr(float(n)) for n in range(30)]
    assert check(manifest_of("regression", numbers, numbers)) == []


def test_labels_that_are_rare_missing_or_everywhere_are_named():
    warnings = check(manifest_of("multilabel", ["a;b"] * 9 + ["a;c"], ["a", "a;c"]))
    assert warnings == [
        "No validation images of 'b': nothing is measured for that.",
        "Fewer than 5 training images of 'c' (1).",
        "All 10 training images have 'a': nothing is learned about that.",
        "All 2 validation images have 'a': nothing is measured about that.",
    ]


def test_one_label_is_enough_and_none_is_not():
    assert check(manifest_of("multilabel", ["a", ""] * 6, ["a", ""])) == []
    with pytest.raises(DataError, match="No training image of '/photos' has a label"):
        check(manifest_of("multilabel", ["", ""], [""]))


def test_a_label_that_training_does_not_know_is_refused():
    with pytest.raises(DataError, match="val split has images of 'b'"):
        check(manifest_of("multilabel", ["a", ""], ["a;b"]))


def test_numbers_that_are_few_or_equal_in_validation_are_named():
    assert check(manifest_of("regression", ["1.0", "2.0"], ["3.0"] * 4)) == [
        "Only 2 distinct training images.",
        "All validation images have the value 3: R2 is not defined for them.",
    ]


@pytest.mark.parametrize(
    ("train", "words"),
    [(["2.5"] * 9, "have the value 2.5"), (["1.0", "nan"], "'nan', which is no finite number")],
)
def test_numbers_from_which_nothing_can_be_learned_are_refused(train, words):
    with pytest.raises(DataError, match=words):
        check(manifest_of("regression", train, ["1.0"]))


@pytest.mark.parametrize(
    ("task", "words"), [("multilabel", "sets of labels"), ("regression", "values")]
)
def test_an_image_with_two_targets_is_named(task, words):
    manifest = manifest_of(task, ["1.0", "2.0"] * 15, ["1.0", "2.0"])
    first, second, *rest = manifest.samples
    torn = replace(manifest, samples=(first, replace(second, sha256=first.sha256), *rest))
    assert any(f"1 image under two {words} or more" in warning for warning in check(torn))


def test_a_group_in_two_splits_is_a_leak_and_named():
    manifest = manifest_of("multilabel", ["a", ""] * 6, ["a", ""])
    samples = tuple(replace(sample, group="patient 7") for sample in manifest.samples)
    assert check(replace(manifest, samples=samples)) == [
        "Leak: 1 group of the val images also in training: 'patient 7'."
    ]
