from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from graft.data.augment import TRANSFORMS
from graft.data.transforms import (
    ColorJitter,
    Grayscale,
    HorizontalFlip,
    RandomErasing,
    RandomResizedCrop,
    Rotation,
    VerticalFlip,
)
from graft.errors import RecipeError


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_transform_keeps_size_and_mode_and_leaves_its_input_alone(name, make_photo):
    transform = TRANSFORMS[name]()
    for seed in range(20):
        photo = make_photo(seed=seed)
        before = photo.tobytes()
        changed = transform.apply(photo, rng(seed))
        assert (changed.size, changed.mode) == (photo.size, "RGB")
        assert photo.tobytes() == before


@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_transform_does_something_sometimes(name, make_photo):
    transform, photo = TRANSFORMS[name](), make_photo()
    views = {transform.apply(photo, rng(seed)).tobytes() for seed in range(40)}
    assert len(views) > 1


@pytest.mark.parametrize("name", TRANSFORMS)
def test_chance_comes_from_the_given_generator_alone(name, make_photo):
    transform, photo = TRANSFORMS[name](), make_photo()
    views = []
    for global_seed in (1, 2):
        np.random.seed(global_seed)
        torch.manual_seed(global_seed)
        views.append([transform.apply(photo, rng(seed)).tobytes() for seed in range(10)])
    assert views[0] == views[1]


def test_flips_mirror_the_right_way():
    photo = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(2, 2, 3))
    array = np.asarray(photo)
    assert (np.asarray(HorizontalFlip(1).apply(photo, rng())) == array[:, ::-1]).all()
    assert (np.asarray(VerticalFlip(1).apply(photo, rng())) == array[::-1]).all()


@pytest.mark.parametrize("transform", [HorizontalFlip, VerticalFlip, Grayscale, RandomErasing])
def test_probability_zero_changes_nothing(transform, make_photo):
    photo = make_photo()
    for seed in range(10):
        assert transform(0).apply(photo, rng(seed)).tobytes() == photo.tobytes()


def test_grayscale_has_three_equal_channels(make_photo):
    red, green, blue = Grayscale(1).apply(make_photo(), rng()).split()
    assert red.tobytes() == green.tobytes() == blue.tobytes()


@pytest.mark.parametrize("size", [(500, 375), (1, 1), (1, 900), (900, 1)])
def test_a_crop_lies_inside_the_picture_and_shows_the_share_it_should(size):
    crop = RandomResizedCrop(0.5, 0.8)
    for seed in range(200):
        left, top, right, bottom = crop.box(*size, rng(seed))
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]
        if min(size) > 1:
            share = (right - left) * (bottom - top) / (size[0] * size[1])
            assert 0.49 < share < 0.81


@pytest.mark.parametrize(
    ("transform", "options"),
    [
        (HorizontalFlip, {"p": 1.5}),
        (RandomResizedCrop, {"min_scale": 0}),
        (RandomResizedCrop, {"max_scale": 2}),
        (Rotation, {"degrees": float("nan")}),
        (ColorJitter, {"hue": 0.6}),
        (RandomErasing, {"p": -1}),
    ],
)
def test_values_out_of_range_are_named(transform, options):
    with pytest.raises(RecipeError, match=transform.__name__):
        transform(**options)
