from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest

from graft.data.layout import find_images
from graft.data.manifest import assign_splits
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
