from __future__ import annotations

import os

import pytest

from graft.data.layout import find_images, images_below
from graft.errors import DataError


def names(paths):
    return [path.name for path in paths]


def test_folders_are_searched_to_any_depth_in_a_stable_order(make_folder):
    root = make_folder({"b": 1, "a/deep/deeper": 2})
    assert [path.relative_to(root).as_posix() for path in find_images([root])] == [
        "a/deep/deeper/000.jpg",
        "a/deep/deeper/001.jpg",
        "b/000.jpg",
    ]


def test_hidden_files_and_other_files_are_passed_over(make_folder):
    root = make_folder({"a": 1, "a/.cache": 1, "__MACOSX": 1})
    for name in (".DS_Store", "._000.jpg", "Thumbs.db", "desktop.ini", "labels.txt"):
        (root / "a" / name).write_bytes(b"nothing to see")
    assert names(images_below(root)) == ["000.jpg"]


def test_a_image_without_a_suffix_is_found(make_folder):
    root = make_folder({"a": 1})
    (root / "a" / "000.jpg").rename(root / "a" / "scan-17")
    assert names(images_below(root)) == ["scan-17"]


def test_a_file_named_as_a_image_is_found_even_if_it_is_none(tmp_path):
    for name in ("a.JPG", "b.heic", "c.tif"):
        (tmp_path / name).touch()
    assert names(images_below(tmp_path)) == ["a.JPG", "b.heic", "c.tif"]


def test_links_in_a_circle_end(make_folder):
    root = make_folder({"a": 2})
    (root / "a" / "up").symlink_to(root, target_is_directory=True)
    assert len(list(images_below(root))) == 2


def test_a_linked_folder_is_followed(make_folder, tmp_path):
    root = make_folder({"a": 2})
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "a").symlink_to(root / "a", target_is_directory=True)
    assert len(list(images_below(linked))) == 2


def test_a_pipe_named_as_a_image_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert list(images_below(tmp_path)) == []


def test_patterns_files_and_folders_mix_and_nothing_comes_twice(make_folder):
    root = make_folder({"a": 2, "b": 1})
    found = find_images([root / "b" / "000.jpg", f"{root}/a/*.jpg", f"{root}/**/*.jpg", root])
    assert [path.relative_to(root).as_posix() for path in found] == [
        "b/000.jpg",
        "a/000.jpg",
        "a/001.jpg",
    ]


@pytest.mark.parametrize("path", ["gone", "gone/*.jpg", "empty"])
def test_what_holds_no_images_is_named(tmp_path, path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=path.replace("*", r"\*")):
        find_images([tmp_path / path])


def test_an_image_that_links_to_itself_is_found_and_the_others_with_it(make_folder):
    root = make_folder({"a": 1})
    (root / "a" / "loop.jpg").symlink_to(root / "a" / "loop.jpg")
    (root / "a" / "other").symlink_to(root / "a" / "other")
    assert names(images_below(root)) == ["000.jpg", "loop.jpg"]
