from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest
from PIL import Image

from graft.data.layout import find_images
from graft.data.manifest import Manifest, assign_splits
from graft.data.scan import locate, scan, scan_unlabelled
from graft.errors import DataError, RecipeError


def test_every_sample_has_its_hash_and_upright_size(make_folder, make_photo):
    root = make_folder({"ants": 1, "bees": 1})
    exif = make_photo().getexif()
    exif[0x0112] = 6
    make_photo(48, 32).save(root / "ants" / "000.jpg", exif=exif)
    ant, bee = scan(root).samples
    assert (ant.width, ant.height, bee.width, bee.height) == (32, 48, 48, 32)
    assert ant.sha256 == hashlib.sha256((root / "ants" / "000.jpg").read_bytes()).hexdigest()
    assert ant.path == (root / "ants" / "000.jpg").as_posix()


def test_a_broken_image_is_set_aside_with_its_reason_and_never_replaced(make_folder):
    root = make_folder({"ants": 4, "bees": 4})
    (root / "ants" / "000.jpg").write_bytes(b"")
    (root / "ants" / "001.jpg").write_bytes((root / "bees" / "000.jpg").read_bytes()[:-200])
    (root / "bees" / "link.jpg").symlink_to(root / "gone.jpg")
    manifest = scan(root)
    assert [(s.path.split("/")[-1], s.state) for s in manifest.set_aside] == [
        ("000.jpg", "zero bytes"),
        ("001.jpg", "truncated"),
        ("link.jpg", "no such file"),
    ]
    assert len(manifest.readable) == 6
    assert len({sample.path for sample in manifest.samples}) == 9


def test_what_is_no_regular_file_or_huge_is_set_aside_unread(make_folder, monkeypatch):
    root = make_folder({"ants": 2})
    ants = root / "ants"
    (ants / "a.jpg").symlink_to(ants / "a.jpg")
    os.mkfifo(ants / "b.jpg")
    (ants / "c.jpg").symlink_to("/dev/zero")
    with (ants / "d.jpg").open("wb") as sparse:
        sparse.truncate(20 * 1024**3)
    (ants / "e.jpg").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(ants)  # the address of a socket is short
        listening.bind("f.jpg")
    manifest = scan(root)
    assert [(Path(s.path).name, s.state) for s in manifest.set_aside] == [
        ("a.jpg", "too many levels of symbolic links"),
        ("b.jpg", "a named pipe, not a regular file"),
        ("c.jpg", "a device, not a regular file"),
        ("d.jpg", "20,480 MiB large, where 512 MiB are the most"),
        ("f.jpg", "a socket, not a regular file"),
    ]
    assert len(manifest.readable) == 2


@pytest.mark.parametrize(
    ("path", "error"),
    [("", RecipeError), ("a\0b", RecipeError), ("x" * 300, DataError), ("loop", DataError)],
)
@pytest.mark.parametrize("enter", [scan, locate, scan_unlabelled, lambda path: find_images([path])])
def test_a_path_that_cannot_be_one_is_named(tmp_path, monkeypatch, enter, path, error):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(error, match=r"is empty|NUL|cannot be reached"):
        enter(path)


def test_a_table_that_is_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "photos.csv")
    with pytest.raises(DataError, match="neither a folder nor a CSV"):
        scan(tmp_path / "photos.csv")


def test_without_the_check_damage_behind_the_header_stays_unseen(make_folder):
    root = make_folder({"ants": 1})
    photo = root / "ants" / "000.jpg"
    photo.write_bytes(photo.read_bytes()[:-200])
    assert [s.state for s in scan(root, check=False).samples] == ["ok"]
    assert [s.state for s in scan(root).samples] == ["truncated"]


def test_a_runs_split_table_reads_back_as_the_same_manifest(make_folder, tmp_path):
    manifest = assign_splits(scan(make_folder({"ants": 5, "bees": 5})))
    manifest.save(tmp_path / "split.csv")
    assert scan(tmp_path / "split.csv").samples == manifest.samples


def test_a_missing_file_of_a_table_is_set_aside(tmp_path):
    (tmp_path / "photos.csv").write_text("path,label\ngone.jpg,ants\n")
    assert [s.state for s in scan(tmp_path / "photos.csv").samples] == ["no such file"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "holds no labelled images"),
        (lambda path: path.write_bytes(b"PK"), "is neither a folder nor a CSV"),
    ],
)
def test_what_is_no_data_set_is_named(tmp_path, make, words):
    make(tmp_path / "photos")
    with pytest.raises(DataError, match=f"photos' {words}"):
        scan(tmp_path / "photos")


def test_images_without_class_folders_are_counted_in_the_error(make_folder):
    with pytest.raises(DataError, match="3 images directly in 'photos'"):
        scan(make_folder({".": 3}))


def test_every_one_of_thousands_of_real_images_is_read(shared):
    assert len(scan(shared / "data/flowers").readable) == 4317


def test_files_of_the_same_pixels_are_known_as_one_image(make_folder, make_photo):
    root = make_folder({"ants": 6, "bees": 6})
    photo = make_photo(64, 48, seed=99)
    photo.save(root / "ants/a.jpg")
    exif = photo.getexif()
    exif[0x010E] = "the same photograph with another description"
    photo.save(root / "ants/b.jpg", exif=exif)  # the same pixels in another file
    Image.open(root / "ants/a.jpg").save(root / "bees/c.png")  # and in another format
    Image.open(root / "ants/a.jpg").save(root / "bees/d.bmp")
    photo.save(root / "bees/again.jpg", quality=50)  # compressed once more: other pixels
    photo.save(root / "bees/original.png")
    samples = {Path(sample.path).name: sample for sample in scan(root).samples}
    copies = [samples[name] for name in ("a.jpg", "b.jpg", "c.png", "d.bmp")]
    assert len({sample.sha256 for sample in copies}) == 4
    assert len({sample.content for sample in copies}) == 1
    others = [sample for name, sample in samples.items() if sample not in copies]
    assert all(sample.content == sample.sha256 for sample in others)


def test_files_of_the_same_pixels_are_drawn_into_one_split(make_folder):
    root = make_folder({"ants": 12, "bees": 12})
    for path in sorted(root.rglob("*.jpg")):
        Image.open(path).save(path.with_suffix(".png"))
    manifest = assign_splits(scan(root), val_fraction=0.4)
    assert not any(manifest.leaked("val"))
    assert len(manifest.subset("val")) == 20


def test_the_copies_are_remembered_in_the_table_of_the_split(make_folder, tmp_path):
    root = make_folder({"ants": 2})
    Image.open(root / "ants/000.jpg").save(root / "ants/copy.png")
    manifest = scan(root)
    manifest.save(tmp_path / "split.csv")
    assert Manifest.load(tmp_path / "split.csv").samples == manifest.samples


def test_a_table_of_a_version_without_copies_is_still_read(make_folder, tmp_path):
    manifest = scan(make_folder({"ants": 2}))
    manifest.save(tmp_path / "split.csv")
    lines = (tmp_path / "split.csv").read_text().splitlines()
    older = [line.rpartition(",")[0] for line in lines]
    (tmp_path / "split.csv").write_text("\n".join(older) + "\n")
    assert Manifest.load(tmp_path / "split.csv").samples == manifest.samples
