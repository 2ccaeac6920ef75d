from __future__ import annotations

import hashlib

import pytest

from graft.data.scan import scan
from graft.data.split import assign_splits
from graft.errors import DataError


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
