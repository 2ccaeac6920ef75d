from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

from graft.data.decode import decode
from graft.data.preprocess import Preprocess
from graft.errors import BackboneError


def torchvision_view(image, size, resize, interpolation):
    return F.center_crop(F.resize(image, resize, InterpolationMode(interpolation)), [size, size])


@pytest.mark.parametrize(
    ("size", "resize", "interpolation"),
    [(224, 256, "bilinear"), (224, 232, "bilinear"), (299, 342, "bilinear"), (128, 146, "bicubic")],
)
def test_the_view_is_torchvisions_to_the_last_bit(shared, size, resize, interpolation):
    preprocess = Preprocess(size, resize=resize, interpolation=interpolation)
    photos = sorted((shared / "data/hymenoptera/val").rglob("*.jpg"))[::10]
    for path in [*photos, next((shared / "data/flowers/rose").iterdir())]:
        image = decode(path)
        theirs = torchvision_view(image, size, resize, interpolation)
        assert preprocess.view(image).tobytes() == theirs.tobytes(), path


def test_normalised_pixels_are_torchvisions(make_photo):
    preprocess = Preprocess(32)
    view = preprocess.view(make_photo())
    ours = preprocess.normalize(preprocess.pixels([view]))[0]
    theirs = F.normalize(F.to_tensor(view), preprocess.mean, preprocess.std)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("crop", ["center", "squash"])
@pytest.mark.parametrize("resize", [None, 16, 40])
@pytest.mark.parametrize("image_size", [24, (16, 32), (32, 16)])
@pytest.mark.parametrize("given", [(1, 1), (1, 3000), (3000, 1), (7, 5), (100, 101)])
def test_any_image_fills_the_input(given, image_size, resize, crop):
    preprocess = Preprocess(image_size, resize=resize, crop=crop)
    view = preprocess.view(Image.new("RGB", given, "red"))
    assert view.size == (preprocess.width, preprocess.height)
    assert view.getextrema() == ((255, 255), (0, 0), (0, 0)), "a border was padded"


@pytest.mark.parametrize(
    ("preprocess", "longest"),
    [
        (Preprocess(224, resize=256), 256),
        (Preprocess(224), 224),
        (Preprocess((96, 160)), 160),
        (Preprocess((96, 160), resize=200), 200),
        (Preprocess(224, resize=100), 224),
        (Preprocess((96, 160), crop="squash"), 160),
        (Preprocess((96, 160), resize=120, crop="squash"), 200),
    ],
)
def test_the_decoder_is_told_how_long_the_shorter_side_may_become(preprocess, longest):
    assert preprocess.decode_shorter == longest


@pytest.mark.parametrize("size", [(2, 100_000), (100_000, 2)])
def test_a_very_long_image_takes_little_memory(size, monkeypatch):
    scaled = []
    resize = Image.Image.resize

    def watched(image, size, *args, **options):
        scaled.append(size)
        return resize(image, (min(size[0], 9000), min(size[1], 9000)), *args, **options)

    monkeypatch.setattr(Image.Image, "resize", watched)
    Preprocess(224, resize=256).view(Image.new("RGB", size))
    ((width, height),) = scaled
    assert width * height < 5_000_000


def test_pixels_are_channels_last(make_photo):
    preprocess = Preprocess(32)
    pixels = preprocess.pixels([preprocess.view(make_photo(seed=n)) for n in range(3)])
    assert pixels.shape == (3, 3, 32, 32)
    assert pixels.dtype == torch.uint8
    normalized = preprocess.normalize(pixels)
    assert normalized.dtype == torch.float32
    assert normalized.is_contiguous(memory_format=torch.channels_last)


def test_one_channel_is_luminance(make_photo):
    preprocess = Preprocess(32, channels=1, mean=(0.5,), std=(0.5,))
    view = preprocess.view(make_photo())
    pixels = preprocess.pixels([view])
    assert (pixels[0, 0].numpy() == np.asarray(view.convert("L"))).all()


def test_another_size_keeps_the_margin_in_proportion():
    smaller = Preprocess(224, resize=256).with_image_size(112)
    assert (smaller.image_size, smaller.resize) == ((112, 112), 128)
    assert Preprocess(224).with_image_size(112).resize is None


def test_the_record_survives_json():
    preprocess = Preprocess((192, 256), resize=280, crop="squash", interpolation="bicubic")
    assert Preprocess.from_dict(json.loads(json.dumps(preprocess.to_dict()))) == preprocess


@pytest.mark.parametrize(
    "options",
    [
        {"image_size": 0},
        {"resize": 0},
        {"crop": "middle"},
        {"interpolation": "cubic"},
        {"mean": (0.5,)},
        {"std": (0.0, 1.0, 1.0)},
        {"channels": 4},
        {"crop": "letterbox", "resize": 256},
        {"colour": "rgb"},
        {"image_size": "large"},
    ],
)
def test_values_that_cannot_be_meant_are_refused(options):
    with pytest.raises(BackboneError):
        Preprocess.from_dict(options)


@pytest.mark.parametrize("given", [(500, 375), (375, 500), (3000, 1), (1, 3000), (40, 40), (2, 3)])
@pytest.mark.parametrize("image_size", [64, (32, 96), (96, 32)])
def test_a_letterbox_shows_all_of_the_image_in_its_proportions(given, image_size):
    preprocess = Preprocess(image_size).with_policy("letterbox")
    image = Image.new("RGB", given, "red")
    view = np.asarray(preprocess.view(image)).astype(int)
    assert view.shape == (preprocess.height, preprocess.width, 3)
    red = (view == (255, 0, 0)).all(axis=2)
    rows, columns = red.any(axis=1).sum(), red.any(axis=0).sum()
    assert red.sum() == rows * columns, "the image is not a rectangle"
    assert rows == preprocess.height or columns == preprocess.width
    scale = min(preprocess.height / given[1], preprocess.width / given[0])
    assert abs(rows - max(1, given[1] * scale)) <= 0.5
    assert abs(columns - max(1, given[0] * scale)) <= 0.5
    above, left = red.any(axis=1).argmax(), red.any(axis=0).argmax()
    assert abs(2 * above + rows - preprocess.height) <= 1
    assert abs(2 * left + columns - preprocess.width) <= 1


def test_the_border_of_a_letterbox_is_zero_for_the_network():
    for preprocess in (Preprocess(32), Preprocess(32, channels=1, mean=(0.4,), std=(0.2,))):
        letterbox = preprocess.with_policy("letterbox")
        view = letterbox.view(Image.new("RGB", (64, 16), "white"))
        normalized = letterbox.normalize(letterbox.pixels([view]))
        assert normalized[..., 0, :].abs().max() < 0.5 / 255 / 0.2


@pytest.mark.parametrize("policy", ["crop", "squash", "letterbox"])
@pytest.mark.parametrize("image_size", [64, (48, 96)])
def test_a_reduced_image_looks_as_the_whole_one_under_every_policy(
    make_photo, tmp_path, policy, image_size
):
    make_photo(1600, 1000).save(tmp_path / "a.jpg", quality=95)
    preprocess = Preprocess(image_size).with_policy(policy)
    reduced = decode(tmp_path / "a.jpg", preprocess.decode_shorter)
    assert reduced.width < 1600
    views = [preprocess.view(image) for image in (reduced, decode(tmp_path / "a.jpg"))]
    ours, theirs = (np.asarray(view).astype(int) for view in views)
    assert np.abs(ours - theirs).mean() < 1


def test_the_whole_image_is_seen_but_under_crop():
    image = Image.new("RGB", (300, 100), "blue")
    image.paste("red", (0, 0, 10, 100))
    seen = {
        policy: any(
            red > blue
            for _, (red, _, blue) in Preprocess(60).with_policy(policy).view(image).getcolors(3600)
        )
        for policy in ("crop", "squash", "letterbox")
    }
    assert seen == {"crop": False, "squash": True, "letterbox": True}


def test_crop_keeps_the_margin_of_the_weights():
    preprocess = Preprocess(224, resize=256)
    assert preprocess.with_policy("crop") == preprocess
    assert preprocess.with_policy("squash").with_policy("crop").resize is None
    with pytest.raises(BackboneError, match="'stretch' is no way to resize"):
        preprocess.with_policy("stretch")
