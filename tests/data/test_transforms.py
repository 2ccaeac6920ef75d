from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from graft.data.augment import TRANSFORMS
from graft.data.transforms import (
    FILL,
    ColorJitter,
    Cutout,
    Grayscale,
    HorizontalFlip,
    RandomErasing,
    RandomResizedCrop,
    Rotation,
    VerticalFlip,
    brightened,
    contrasted,
    hue_turned,
    rotated,
    saturated,
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
def test_a_crop_lies_inside_the_image_and_shows_the_share_it_should(size):
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


@settings(deadline=None, max_examples=60)
@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    seed=st.integers(0, 1000),
    factor=st.floats(0, 2),
    share=st.floats(-0.5, 0.5),
    degrees=st.floats(-180, 180),
)
def test_changes_are_torchvisions_to_the_last_bit(size, seed, factor, share, degrees):
    noise = rng(seed).integers(256, size=(*size, 3), dtype=np.uint8)
    photo = Image.fromarray(noise)
    pairs = {
        "brightness": (brightened(photo, factor), F.adjust_brightness(photo, factor)),
        "contrast": (contrasted(photo, factor), F.adjust_contrast(photo, factor)),
        "saturation": (saturated(photo, factor), F.adjust_saturation(photo, factor)),
        "hue": (hue_turned(photo, share), F.adjust_hue(photo, share)),
        "rotation": (
            rotated(photo, degrees),
            F.rotate(photo, degrees, InterpolationMode.BILINEAR, fill=list(FILL)),
        ),
        "left to right": (HorizontalFlip(1).apply(photo, rng()), F.horizontal_flip(photo)),
        "upside down": (VerticalFlip(1).apply(photo, rng()), F.vertical_flip(photo)),
        "gray": (Grayscale(1).apply(photo, rng()), F.rgb_to_grayscale(photo, 3)),
    }
    for name, (ours, theirs) in pairs.items():
        assert ours.mode == "RGB"
        assert ours.tobytes() == theirs.tobytes(), name


@pytest.mark.parametrize("share", [-0.5, -0.05, -1e-9, 0.0, 1e-9, 0.05, 0.5])
def test_all_hues_turn_as_torchvisions_do(share):
    axis = np.linspace(0, 255, 24).astype(np.uint8)
    colours = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 24, 3)
    photo = Image.fromarray(colours)
    assert hue_turned(photo, share).tobytes() == F.adjust_hue(photo, share).tobytes()


def test_cutout_fills_a_square_with_the_mean_colour_and_leaves_the_rest():
    image = Image.new("RGB", (32, 24), (255, 255, 255))
    for seed in range(20):
        pixels = np.asarray(Cutout(8).apply(image, np.random.default_rng(seed)))
        filled = (pixels == FILL).all(axis=2)
        assert 16 <= filled.sum() <= 64, "a square about a point of the image, cut at its border"
        assert (pixels[~filled] == 255).all()


def test_erasing_without_noise_fills_with_the_mean_colour():
    image = Image.new("RGB", (32, 32), (255, 255, 255))
    erased = RandomErasing(p=1, noise=0).apply(image, np.random.default_rng(0))
    colours = {tuple(pixel) for pixel in np.asarray(erased).reshape(-1, 3).tolist()}
    assert colours == {FILL, (255, 255, 255)}
