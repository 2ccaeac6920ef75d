"""Digits on photographs: the same digits, and no background on both sides."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from graft.samples.digits import digits
from graft.samples.digits_m import _region, write_digits_m


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


def test_splits_take_their_backgrounds_from_different_columns():
    photograph = np.asarray(load_sample_images().images[0])
    parts = [_region(photograph, split) for split in ("train", "val", "test")]
    assert np.array_equal(np.concatenate(parts, axis=1), photograph)
    assert all(part.shape[1] > 32 for part in parts)
