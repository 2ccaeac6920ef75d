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
        {"colour": "rgb"},
        {"image_size": "large"},
    ],
)
def test_values_that_cannot_be_meant_are_refused(options):
    with pytest.raises(BackboneError):
        Preprocess.from_dict(options)
