"""Thumbnails are small and upright, and absent rather than wrong."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from graft.report.images import thumbnail


def opened(address: str | None) -> Image.Image:
    assert address is not None
    return Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))


def test_a_thumbnail_is_small_whatever_the_image(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    Image.new("RGB", (4000, 3000), "teal").save(path)
    assert opened(thumbnail(str(path))).size == (176, 132)


def test_a_photograph_taken_upright_is_shown_upright(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (400, 200)).save(path, exif=exif)
    assert opened(thumbnail(str(path))).size == (88, 176)


@pytest.mark.parametrize("mode", ["CMYK", "P", "LA", "RGBA", "1", "I;16"])
def test_every_kind_of_image_has_a_thumbnail(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "image.tiff"
    Image.new(mode, (40, 20)).save(path)
    assert opened(thumbnail(str(path))).size == (40, 20)


@pytest.mark.parametrize("content", [b"", b"text", b"\xff\xd8\xff\xe0 not really"])
def test_what_is_no_image_has_no_thumbnail(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(content)
    assert thumbnail(str(path)) is None


@pytest.mark.parametrize("path", ["", ".", "/no/such.jpg", "zero\0byte.jpg", "/dev/null"])
def test_what_is_no_file_has_no_thumbnail(path: str) -> None:
    assert thumbnail(path) is None
