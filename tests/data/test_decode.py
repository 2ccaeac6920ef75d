from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from graft.data.augment import Augmentation
from graft.data.decode import decode, decoder, examine, is_image
from graft.data.preprocess import CROPS, Preprocess
from graft.data.reduction import whole_size
from graft.data.transforms import RandomResizedCrop
from graft.errors import DataError

# What a camera held the other way does: the transposition that orientation N undoes.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
LOSSLESS = ("PNG", "TIFF", "WEBP")


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned(photo: Image.Image, orientation: int, kind: str) -> bytes:
    transposition = STORED[orientation]
    stored = photo if transposition is None else photo.transpose(transposition)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    return encoded(stored, kind, exif=exif, **options)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


@pytest.mark.parametrize("kind", LOSSLESS)
@pytest.mark.parametrize("orientation", STORED)
def test_every_orientation_gives_the_same_upright_image(make_photo, orientation, kind):
    photo = make_photo()
    data = turned(photo, orientation, kind)
    assert (pixels(decode(data)) == pixels(photo)).all()
    assert examine(data)[:3] == (photo.width, photo.height, "ok")


@pytest.mark.parametrize("orientation", STORED)
def test_every_entrance_turns_a_jpeg_alike(make_photo, tmp_path, orientation):
    photo = make_photo()
    path = tmp_path / "photo.jpg"
    path.write_bytes(turned(photo, orientation, "JPEG"))
    with path.open("rb") as file, Image.open(path) as opened:
        views = [decode(source) for source in (path, str(path), path.read_bytes(), file, opened)]
    assert {view.tobytes() for view in views} == {views[0].tobytes()}
    assert np.abs(pixels(views[0]) - pixels(photo)).mean() < 8


@pytest.mark.parametrize("orientation", STORED)
def test_decoding_what_was_decoded_changes_nothing(make_photo, orientation):
    once = decode(turned(make_photo(), orientation, "JPEG"))
    assert decode(once).tobytes() == once.tobytes()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_beside_sound_pixels_is_ignored(make_photo):
    data = encoded(make_photo(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert decode(data).size == (48, 32)


def test_cmyk_keeps_its_colours(make_photo):
    photo = make_photo()
    decoded = decode(encoded(photo.convert("CMYK"), "JPEG", quality=95))
    assert np.abs(pixels(decoded) - pixels(photo)).mean() < 6


def test_a_palette_keeps_its_colours(make_photo):
    photo = make_photo().quantize(16)
    assert (pixels(decode(encoded(photo, "PNG"))) == pixels(photo.convert("RGB"))).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_become_white_and_opaque_ones_stay(mode):
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 255))
    decoded = decode(encoded(image.convert(mode), "PNG"))
    assert [decoded.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (0, 0, 0)]


def test_a_transparent_palette_entry_becomes_white():
    image = Image.new("P", (2, 1), 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    decoded = decode(encoded(image, "PNG", transparency=0))
    assert [decoded.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (40, 50, 60)]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_16_bits_keep_their_brightness(kind):
    values = np.array([[0, 0x1234, 0x8000, 0xFFFF]], dtype=np.uint16)
    decoded = decode(encoded(Image.fromarray(values), kind))
    assert pixels(decoded)[0].tolist() == [[0] * 3, [0x12] * 3, [0x80] * 3, [0xFF] * 3]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_the_first_frame_of_an_animation_is_taken(kind):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert decode(data).getpixel((4, 4)) == (255, 0, 0)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "P", "CMYK"])
def test_a_single_pixel_is_a_image(mode):
    kind = "TIFF" if mode == "CMYK" else "PNG"
    assert decode(encoded(Image.new(mode, (1, 1)), kind)).size == (1, 1)


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3), (4, 6, 4)])
def test_arrays_are_images(shape):
    assert decode(np.full(shape, 255, dtype=np.uint8)).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    "array", [np.zeros((4, 6, 3)), np.zeros((3, 4, 6), np.uint8), np.zeros((0, 6), np.uint8)]
)
def test_arrays_of_another_type_or_shape_are_refused(array):
    with pytest.raises(DataError, match="given image"):
        decode(array)


def test_the_given_image_is_not_changed(make_photo):
    photo = make_photo()
    photo.getexif()[0x0112] = 6
    assert decode(photo).size == (32, 48)
    assert photo.size == (48, 32)
    assert decode(photo).size == (32, 48)


def _chunk(kind: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def _bomb() -> bytes:
    header = struct.pack(">IIBBBBB", 1_000_000, 1_000_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", b"")


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "zero bytes"),
        (b"hello" * 100, "not an image"),
        (POSTSCRIPT, "not an image"),  # rendering it would run another program
        (_bomb(), "too large"),
        (encoded(Image.new("F", (4, 4)), "TIFF"), "floating-point"),
    ],
)
def test_what_is_no_image_is_named_with_its_reason(tmp_path, data, reason):
    path = tmp_path / "broken.jpg"
    path.write_bytes(data)
    with pytest.raises(DataError, match=rf"broken\.jpg' cannot be read: .*{reason}"):
        decode(path)
    assert reason in examine(path).state


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_file_cut_short_is_found_by_examine_and_refused_by_decode(make_photo, kind, share):
    data = encoded(make_photo(200, 150), kind)
    cut = data[: int(len(data) * share)]
    assert examine(data).state == "ok"
    assert examine(cut).state != "ok"
    with pytest.raises(DataError):
        decode(cut)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.jpg' cannot be read: no such file"):
        decode(tmp_path / "gone.jpg")
    with pytest.raises(DataError, match="not a regular file"):
        decode(tmp_path)


def test_examine_without_pixels_reads_only_the_header(make_photo):
    data = encoded(make_photo(200, 150), "PNG")
    assert examine(data[: len(data) // 2], pixels=False)[:3] == (200, 150, "ok")


def test_a_image_is_recognised_by_its_content(make_photo, tmp_path):
    named, text = tmp_path / "no-suffix", tmp_path / "notes.txt"
    make_photo().save(named, "PNG")
    text.write_text("P is for photo")
    assert is_image(named)
    assert not is_image(text)


def test_examine_agrees_with_decode_on_real_photographs(shared):
    photos: list[Path] = sorted((shared / "data/hymenoptera/val").rglob("*.jpg"))[:20]
    for path in photos:
        assert examine(path)[:3] == (*decode(path).size, "ok")


def view_of(data: bytes, preprocess: Preprocess, *, whole: bool) -> np.ndarray:
    return pixels(preprocess.view(decode(data, None if whole else preprocess.decode_shorter)))


@pytest.mark.parametrize(
    ("size", "shorter", "decoded"),
    [
        ((4000, 3000), 256, (1000, 750)),
        ((3000, 4000), 256, (750, 1000)),
        ((1023, 1500), 256, (1023, 1500)),
        ((1024, 1500), 256, (512, 750)),
        ((1025, 1501), 256, (513, 751)),
        ((4000, 3000), 20, (500, 375)),
        ((48, 32), 256, (48, 32)),
    ],
)
def test_a_large_jpeg_is_decoded_small_but_at_least_twice_as_large_as_needed(
    make_photo, size, shorter, decoded
):
    data = encoded(make_photo(*size), "JPEG")
    assert decode(data, shorter).size == decoded
    assert decode(data).size == size


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "BMP", "GIF"])
def test_other_formats_are_decoded_whole(make_photo, kind):
    data = encoded(make_photo(400, 300), kind)
    assert decode(data, 20).tobytes() == decode(data).tobytes()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_a_reduced_jpeg_keeps_its_colours_in_every_mode(make_photo, mode, options):
    data = encoded(make_photo(640, 480).convert(mode), "JPEG", quality=95, **options)
    reduced = decode(data, 60)
    assert (reduced.size, reduced.mode) == ((160, 120), "RGB")
    whole = decode(data).resize(reduced.size, Image.Resampling.BOX)
    assert np.abs(pixels(reduced) - pixels(whole)).mean() < 1


def test_a_reduced_image_of_several_frames_is_its_first(make_photo):
    first, second = make_photo(640, 480, seed=1), make_photo(640, 480, seed=2)
    data = encoded(first, "MPO", save_all=True, append_images=[second], quality=95)
    reduced = decode(data, 60)
    assert reduced.size == (160, 120)
    assert np.abs(pixels(reduced) - pixels(first.resize((160, 120)))).mean() < 3


@pytest.mark.parametrize("orientation", STORED)
def test_every_entrance_reduces_and_turns_a_jpeg_alike(make_photo, tmp_path, orientation):
    photo = make_photo(640, 400)
    path = tmp_path / "photo.jpg"
    path.write_bytes(turned(photo, orientation, "JPEG"))
    with path.open("rb") as file:
        views = [decode(source, 50) for source in (path, str(path), path.read_bytes(), file)]
    assert {view.tobytes() for view in views} == {views[0].tobytes()}
    assert views[0].size == (160, 100)
    assert np.abs(pixels(views[0]) - pixels(photo.resize((160, 100)))).mean() < 4


def test_what_somebody_else_opened_is_neither_reduced_nor_changed(make_photo, tmp_path):
    make_photo(640, 480).save(tmp_path / "photo.jpg")
    with Image.open(tmp_path / "photo.jpg") as opened:
        assert decode(opened, 20).size == opened.size == (640, 480)


@settings(deadline=None, max_examples=60)
@given(
    given=st.tuples(st.integers(1, 700), st.integers(1, 700)),
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    resize=st.none() | st.integers(1, 80),
    crop=st.sampled_from(CROPS),
)
def test_no_view_needs_more_than_half_of_what_a_reduced_image_has(given, size, resize, crop):
    preprocess = Preprocess(size, resize=None if crop == "letterbox" else resize, crop=crop)
    data = encoded(Image.new("RGB", given), "JPEG")
    reduced = decode(data, preprocess.decode_shorter)
    if reduced.size != given:
        asked = []
        reduced.resize = lambda size, *args, **options: (
            asked.append(size),
            Image.new("RGB", size),
        )[1]
        preprocess.view(reduced)
        ((width, height),) = asked
        assert 2 * width <= reduced.width
        assert 2 * height <= reduced.height


@pytest.mark.parametrize("crop", CROPS)
@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("size", [(641, 489), (490, 645)])  # no multiples of 4
def test_a_reduced_image_is_not_shifted_against_the_whole(size, orientation, crop):
    across, down = (np.sin(np.arange(length) * 2 * np.pi / 48) for length in size)
    waves = (np.add.outer(down, across) * 60 + 128).astype(np.uint8)
    data = turned(Image.fromarray(waves), orientation, "JPEG")
    preprocess = Preprocess((48, 52), resize=None if crop == "letterbox" else 56, crop=crop)
    reduced = decode(data, preprocess.decode_shorter)
    assert min(reduced.size) == 123
    whole = decode(data)
    assert whole_size(reduced) == whole.size
    difference = np.abs(pixels(preprocess.view(reduced)) - pixels(preprocess.view(whole)))
    assert difference.mean() < 1
    crop_drawn = [
        Augmentation((RandomResizedCrop(),)).view(image, preprocess, np.random.default_rng(1))
        for image in (reduced, whole)
    ]
    assert np.abs(np.subtract(*map(pixels, crop_drawn))).mean() < 1.3


@pytest.mark.parametrize("seed", range(3))
def test_the_view_of_a_reduced_photograph_is_that_of_the_whole_but_for_a_shade(seed):
    data = encoded(photograph(1600, 1200, seed), "JPEG", quality=90)
    preprocess = Preprocess(128, resize=146)
    reduced = view_of(data, preprocess, whole=False)
    assert decode(data, preprocess.decode_shorter).size == (400, 300)
    assert np.abs(reduced - view_of(data, preprocess, whole=True)).mean() < 0.5


@pytest.mark.parametrize("size", [24, 64])
def test_real_photographs_look_the_same_reduced(shared, size):
    preprocess = Preprocess(size, resize=round(size * 8 / 7))
    differences = []
    for path in sorted((shared / "data/hymenoptera/val").rglob("*.jpg"))[::15]:
        data = path.read_bytes()
        whole, reduced = (view_of(data, preprocess, whole=whole) for whole in (True, False))
        differences.append(np.abs(whole - reduced).mean())
    assert 0 < np.mean(differences) < 0.8
    assert max(differences) < 1.5, "of 255"


def test_a_reduced_image_decoded_again_is_a_image_of_its_own(make_photo):
    reduced = decode(encoded(make_photo(641, 481), "JPEG"), 60)
    assert whole_size(reduced) == (641, 481)
    again = decode(reduced)
    assert whole_size(again) == again.size == (161, 121)


def photograph(width: int, height: int, seed: int) -> Image.Image:
    """Make an image whose detail falls off with its fineness, as that of photographs does."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for octave in range(2, 10):
        coarse = rng.normal(size=(2**octave, 2**octave, 3)).astype(np.float32)
        for channel in range(3):
            layer = Image.fromarray(coarse[..., channel]).resize((width, height))
            total[..., channel] += np.asarray(layer) / 2**octave
    total = (total - total.mean()) / total.std() * 50 + 128
    return Image.fromarray(total.clip(0, 255).astype(np.uint8))


def test_the_decoder_is_named_with_all_that_pixels_depend_on(monkeypatch):
    named = decoder()
    monkeypatch.setattr("graft.data.decode.MARGIN", 3)
    assert decoder() != named
    monkeypatch.setattr("PIL.__version__", "0.0.1")
    assert "pillow 0.0.1" in decoder()
