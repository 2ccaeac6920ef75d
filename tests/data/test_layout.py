from __future__ import annotations

import unicodedata
from collections import Counter

import pytest

from graft.data.layout import find_images, read_folder
from graft.data.scan import scan
from graft.errors import DataError


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
        "Left out: 2 images directly in 'test', in no class: the file name '000.jpg' is no label "
        "with a number, as cat_001.jpg.",
    ]
    assert read_folder(make_folder({".": 2})).notes[-1:] == [
        "Left out: 2 images directly in 'photos', in no class."
    ]


@pytest.mark.parametrize(
    ("folders", "note"),
    [
        (("train", "val", "test"), None),
        (
            ("Train", "val", "Test"),
            "'Test' is read as the test split, 'Train' as the training split.",
        ),
        (
            ("Training", "Testing"),
            "'Testing' is read as the test split, 'Training' as the training",
        ),
        (("train", "valid"), "'valid' is read as the validation split."),
        (("train", "dev"), "'dev' is read as the validation split."),
        (("train", "VALIDATION"), "'VALIDATION' is read as the validation split."),
    ],
)
def test_how_split_names_are_read_is_said(make_folder, folders, note):
    notes = read_folder(make_folder({f"{folder}/ants": 1 for folder in folders})).notes
    assert [line.startswith(note) for line in notes] == [True] if note else notes == []


@pytest.fixture
def make_files(tmp_path, make_photo):
    """Make a folder of images with these names."""
    photo = make_photo()

    def make(*names):
        for name in names:
            path = tmp_path / "photos" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            photo.save(path, "JPEG")
        return tmp_path / "photos"

    return make


@pytest.mark.parametrize(
    ("form", "labels"),
    [
        ("{}.{}.jpg", ("cat", "dog")),
        ("{}_{:03}.jpg", ("cat", "dog")),
        ("{}-{}.PNG", ("Saint Bernard", "chow-chow")),
        ("{} ({}).jpg", ("cat", "dog")),
        ("{}{}.jpg", ("käfer", "biene")),
        ("{}_{}.jpg", ("american_bulldog", "Abyssinian")),
    ],
)
@pytest.mark.parametrize("folder", ["", "train/"])
def test_file_names_that_begin_with_labels_are_read_and_said(make_files, form, labels, folder):
    names = [folder + form.format(label, number) for label in labels for number in (1, 2)]
    listing = read_folder(make_files(*names))
    assert counted(listing) == {(folder[:-1], label): 2 for label in labels}
    [note] = listing.notes
    assert note.startswith("Labels are the beginnings of the file names in '")
    assert all(f"{label} (2)" in note for label in labels)


def test_dogs_vs_cats_is_read_as_its_archive_has_it(make_files):
    train = [f"train/{label}.{number}.jpg" for label in ("cat", "dog") for number in range(3)]
    listing = read_folder(make_files(*train, "test1/1.jpg", "test1/2.jpg"))
    assert counted(listing) == {("train", "cat"): 3, ("train", "dog"): 3}
    assert listing.notes[0] == "Left out: 'test1' lies beside the splits and is none."


def test_names_in_another_split_take_the_labels_of_training(make_files):
    train = [f"train/{label}_{number}.jpg" for label in ("cat", "dog") for number in range(2)]
    listing = read_folder(make_files(*train, "val/dog_7.jpg", "test/cow_1.jpg", "test/cow_2.jpg"))
    assert counted(listing) == {("train", "cat"): 2, ("train", "dog"): 2, ("val", "dog"): 1}
    assert (
        "Left out: 2 images directly in 'test', in no class: a file name begins with 'cow', which "
        "is no class of training."
    ) in listing.notes


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("1.jpg", "2.jpg"), "the file name '1.jpg' is no label with a number, as cat_001.jpg"),
        (
            ("cat_1.jpg", "cat_2.jpg", "dog.jpg"),
            "the file name 'dog.jpg' is no label with a number",
        ),
        (("cat_1.jpg", "cat_2.jpg"), "all file names begin with 'cat'"),
        (("cat_1.jpg", "cat_2.jpg", "dog_1.jpg"), "only one file name begins with 'dog'"),
        (
            ("IMG_1.jpg", "IMG_2.jpg", "DSC_1.jpg", "DSC_2.jpg"),
            "file names begin with 'DSC', as cameras and programs name them",
        ),
        (
            ("a_1.jpg", "a_2.jpg", "IMG_20240101_1.jpg", "IMG_20240101_2.jpg"),
            "file names begin with 'IMG_20240101', as cameras and programs name them",
        ),
        (
            ("clip1_1.jpg", "clip1_2.jpg", "clip2_1.jpg", "clip2_2.jpg"),
            "file names begin with 'clip1' and with 'clip2', which may mean one class or two",
        ),
        (
            ("Cat_1.jpg", "Cat_2.jpg", "cat_3.jpg", "cat_4.jpg"),
            "file names begin with 'Cat' and with 'cat', which may mean one class or two",
        ),
        (
            ("test_1.jpg", "test_2.jpg", "train_1.jpg", "train_2.jpg"),
            "the file names begin with test and train, as splits",
        ),
    ],
)
def test_file_names_that_may_mean_something_else_are_refused_with_the_reason(
    make_files, names, reason
):
    with pytest.raises(DataError) as caught:
        scan(make_files(*names))
    assert f"directly in 'photos', in no class: {reason}" in caught.value.problem
    assert "begin their file names with it, as in cat_001.jpg" in caught.value.remedy


def test_file_names_say_nothing_where_there_are_class_folders(make_files):
    names = ("car/s_1.jpg", "car/s_2.jpg", "train/s_1.jpg", "train/s_2.jpg", "train/d_1.jpg")
    assert counted(read_folder(make_files(*names, "train/d_2.jpg", "s_1.jpg"))) == {
        ("", "car"): 2,
        ("", "train"): 4,
    }


def test_a_training_and_a_test_folder_without_labels_are_no_classes(make_files):
    with pytest.raises(DataError, match="holds no labelled images"):
        scan(make_files("train/1.jpg", "train/2.jpg", "test/3.jpg", "test/4.jpg"))


@pytest.mark.parametrize(
    "clutter", [".ipynb_checkpoints", "__MACOSX", "@eaDir", "$RECYCLE.BIN", "lost+found"]
)
def test_what_systems_and_notebooks_leave_is_never_a_class_or_an_image(make_folder, clutter):
    root = make_folder({"ants": 1, "bees": 1, clutter: 1, f"ants/{clutter}": 1})
    for name in ("Thumbs.db", ".DS_Store", "._000.jpg"):
        (root / "ants" / name).write_bytes((root / "bees" / "000.jpg").read_bytes())
    assert counted(read_folder(root)) == {("", "ants"): 1, ("", "bees"): 1}
    assert len(find_images([root])) == len(find_images([f"{root}/**/*"])) == 2


def test_real_layouts_are_understood(shared):
    assert counted(read_folder(shared / "data/hymenoptera")) == {
        ("train", "ants"): 124,
        ("train", "bees"): 121,
        ("val", "ants"): 70,
        ("val", "bees"): 83,
    }
    assert len(read_folder(shared / "data/hymenoptera/val").entries) == 153
