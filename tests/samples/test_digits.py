"""Handwritten digits: all of them, as they are, and nobody's hand on both sides."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from graft.samples.digits import digits, write_digits


def test_every_digit_is_written_once_in_grey_scaled_to_white(tmp_path):
    write_digits(tmp_path)
    loaded = load_digits()
    files = {int(path.stem): path for path in tmp_path.rglob("*.png")}
    assert sorted(files) == list(range(1797))
    for number, path in files.items():
        with Image.open(path) as image:
            assert (image.mode, image.size) == ("L", (8, 8))
            written = np.asarray(image)
        assert path.parent.name == str(loaded.target[number])
        assert np.array_equal(written, np.rint(loaded.images[number] * 255 / 16))
    assert max(np.asarray(Image.open(path)).max() for path in files.values()) == 255


def test_each_class_is_cut_into_the_same_shares():
    counts = Counter((digit.label, digit.split) for digit in digits())
    for label in range(10):
        total = sum(counts[label, split] for split in ("train", "val", "test"))
        for split, share in (("train", 0.4), ("val", 0.1), ("test", 0.5)):
            assert abs(counts[label, split] - share * total) <= 1


def test_training_digits_come_before_validation_before_test_in_the_order_of_the_writers():
    numbers = {split: [] for split in ("train", "val", "test")}
    for digit in digits():
        numbers[digit.split].append(digit.number)
    # The borders of the ten classes differ by less than one writer's sheets.
    assert max(numbers["train"]) < np.quantile(numbers["val"], 0.99)
    assert np.median(numbers["train"]) < min(numbers["val"])
    assert max(numbers["val"]) < np.median(numbers["test"])
    assert max(numbers["train"]) - min(numbers["test"]) < 1797 / 13


def test_a_few_of_each_class_are_drawn_by_seed_and_the_test_stays_the_same():
    def drawn(seed):
        return list(digits(seed=seed, per_class=20, val_per_class=10))

    def names(found, split):
        return [digit.number for digit in found if digit.split == split]

    first, again, other = drawn(0), drawn(0), drawn(1)
    assert names(first, "train") == names(again, "train") != names(other, "train")
    counts = Counter((digit.split, digit.label) for digit in first)
    assert {counts["train", label] for label in range(10)} == {20}
    assert {counts["val", label] for label in range(10)} == {10}
    assert names(first, "test") == names(other, "test") == names(list(digits()), "test")
    assert set(names(first, "train")) <= set(names(list(digits()), "train"))


@pytest.mark.parametrize("more", [72, 10_000])
def test_asking_for_more_than_there_are_gives_all(more):
    found = Counter(digit.split for digit in digits(per_class=more + 1, val_per_class=more))
    assert found == Counter(digit.split for digit in digits())
