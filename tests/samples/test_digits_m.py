"""Digits on photographs: the same digits, and no background on both sides."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from graft.samples.digits import digits
from graft.samples.digits_m import blocks_of, write_digits_m


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.png")
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits-m")
    write_digits_m(folder)
    return folder


def test_the_images_are_those_of_the_digits_in_colour(written):
    names = {f"{digit.split}/{digit.label}/{digit.number:04}.png" for digit in digits()}
    assert set(contents(written)) == names
    with Image.open(written / min(names)) as image:
        assert (image.mode, image.size) == ("RGB", (32, 32))
        assert np.asarray(image).std(axis=2).max() > 0


def test_the_seed_decides_the_backgrounds(written, tmp_path):
    (tmp_path / "again").mkdir()
    (tmp_path / "other").mkdir()
    write_digits_m(tmp_path / "again")
    write_digits_m(tmp_path / "other", seed=1)
    assert contents(tmp_path / "again") == contents(written)
    same = contents(tmp_path / "other").items() & contents(written).items()
    assert len(same) < 20


def test_no_pixel_of_a_photograph_is_in_two_splits_and_none_is_left_out():
    pixels = np.arange(427 * 640 * 3).reshape(427, 640, 3)
    seen = {
        split: np.concatenate([block.ravel() for block in blocks_of(pixels, split)])
        for split in ("train", "val", "test")
    }
    assert np.array_equal(np.sort(np.concatenate(list(seen.values()))), pixels.ravel())
    shares = {split: len(found) / pixels.size for split, found in seen.items()}
    assert shares == pytest.approx({"train": 0.4, "val": 0.1, "test": 0.5}, abs=0.01)


def test_every_split_has_its_part_of_every_row_and_column():
    rows, columns = np.mgrid[:427, :640]
    place = np.stack([rows, columns], axis=-1)
    for split, least in (("train", 3), ("val", 1), ("test", 3)):
        blocks = blocks_of(place, split)
        assert min(min(block.shape[:2]) for block in blocks) > 32
        in_rows = np.bincount([int(block[..., 0].mean()) * 6 // 427 for block in blocks])
        assert in_rows.min() >= least
        halves = np.bincount([int(block[..., 1].mean()) * 2 // 640 for block in blocks])
        assert abs(halves[0] - halves[1]) <= len(blocks) // 4


def test_the_splits_are_equally_bright():
    means = {}
    for split in ("train", "val", "test"):
        found = [blocks_of(np.asarray(p), split) for p in load_sample_images().images]
        means[split] = np.mean([block.mean() for blocks in found for block in blocks])
    assert max(means.values()) - min(means.values()) < 12
