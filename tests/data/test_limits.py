"""One image, or all threads together, take no more than is stated."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
from PIL import Image

from graft.data import read as limits
from graft.data.decode import decode, examine
from graft.data.read import Budget
from graft.data.reduction import to_rgb, whole_size


def chunk(kind: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


@cache
def large_png(side: int) -> bytes:
    """Make a grey, half transparent PNG with 16 bits a channel, which compresses to little."""
    packer, row = zlib.compressobj(1), b"\0" + b"\x80" * side * 8
    body = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 16, 6, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def peak(code: str, *arguments: str) -> int:
    """Return the bytes that a process of its own takes at most while it runs `decode`."""
    measured = (
        "import resource, sys\nfrom graft.data.decode import decode, examine\n"
        "decode(sys.argv[2])\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"{code}\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", measured, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1]) * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.parametrize(
    ("code", "per_pixel"),
    [
        ("decode(sys.argv[1], 64)", 5.5),
        ("examine(sys.argv[1])", 5.5),
        ("decode(sys.argv[1])", 9.5),
    ],
)
def test_a_transparent_image_of_16_bits_takes_little_beside_its_pixels(tmp_path, code, per_pixel):
    side = 4200
    (tmp_path / "large.png").write_bytes(large_png(side))
    (tmp_path / "small.png").write_bytes(large_png(32))
    taken = peak(code, str(tmp_path / "large.png"), str(tmp_path / "small.png"))
    assert taken < per_pixel * side**2, "19 bytes per pixel where it is converted as a whole"


def test_threads_wait_for_memory_and_all_come_through():
    budget, most = Budget(100), []

    def work(need: int) -> None:
        with budget.taking(need):
            most.append(budget.taken)
            threading.Event().wait(0.001)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [100, 30, 60, 1, 100, 45, 45, 45] * 5))
    assert len(most) == 40
    assert max(most) <= 100
    assert budget.taken == 0


def test_a_failure_gives_its_memory_back(make_photo):
    cut = encoded(make_photo(200, 150), "PNG")[:-500]
    for _ in range(3):
        assert examine(cut).state == "truncated"
    assert limits.decoding_budget().taken == 0


def test_what_takes_more_than_the_budget_is_refused_with_its_reason(monkeypatch, make_photo):
    monkeypatch.setattr(limits, "BUDGET", 10**5)
    data = encoded(make_photo(200, 150), "PNG")
    assert "decoding it takes" in examine(data).state


def test_a_large_file_is_read_once_there_is_room_and_gives_the_same_pixels(
    monkeypatch, make_photo, tmp_path
):
    expected = {}
    for kind in ("JPEG", "PNG", "WEBP"):
        make_photo(300, 200).save(tmp_path / kind, kind)
        expected[kind] = decode(tmp_path / kind).tobytes(), examine(tmp_path / kind)
    monkeypatch.setattr("graft.data.decode.LARGE_FILE", 0)
    for kind, (pixels, examined) in expected.items():
        assert decode(tmp_path / kind).tobytes() == pixels
        assert examine(tmp_path / kind) == examined
    (tmp_path / "text").write_text("no image")
    assert examine(tmp_path / "text").state == "not an image in a supported format"


def with_scans(image: Image.Image, added: int) -> bytes:
    data = encoded(image, "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * added + data[-2:]


def test_a_jpeg_of_many_scans_is_refused_before_it_is_decoded(monkeypatch, make_photo):
    few, many = (with_scans(make_photo(200, 150), added) for added in (0, 500))
    assert examine(many).state == "ok", "a small one takes no time"
    monkeypatch.setattr(limits, "MOST_SCANNED", 20 * 200 * 150)
    assert examine(few).state == "ok"
    assert examine(many).state == "510 scans of 30,000 pixels each; 600,000 in all are the most"
    assert examine(encoded(make_photo(200, 150), "JPEG")).state == "ok"


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P", "L", "1", "RGB", "CMYK", "I;16", "I"])
def test_tiles_give_the_pixels_of_the_whole(monkeypatch, mode):
    rng = np.random.default_rng(0)
    if mode.startswith("I"):
        image = Image.fromarray(rng.integers(0, 2**16, (70, 45), np.uint16)).convert(mode)
    else:
        rgba = Image.fromarray(rng.integers(0, 256, (70, 45, 4), np.uint8), "RGBA")
        image = (rgba if mode in ("RGBA", "LA", "PA") else rgba.convert("RGB")).convert(mode)
    if mode == "P":
        image.info["transparency"] = bytes(range(256))
    whole = to_rgb(image)
    monkeypatch.setattr("graft.data.reduction.TILE", 16)
    assert to_rgb(image).tobytes() == whole.tobytes()
    assert to_rgb(image, by=4).tobytes() == whole.reduce(4).tobytes()


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_large_image_of_any_format_is_reduced_and_knows_its_size(
    monkeypatch, make_photo, kind, orientation
):
    monkeypatch.setattr("graft.data.reduction.LARGE", 10_000)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(make_photo(403, 301), kind, exif=exif)
    whole, reduced = decode(data), decode(data, 30)
    assert reduced.size == tuple(-(-side // 4) for side in whole.size)
    assert whole_size(reduced) == whole.size
    assert examine(data)[:2] == whole.size


def test_an_icon_with_a_large_image_inside_is_refused_unread():
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, 0, 22)
    data = struct.pack("<HHH", 0, 1, 1) + entry + large_png(3000)
    assert examine(data).state == "an icon of 3,000 x 3,000 pixels, too large"
    assert examine(encoded(Image.new("RGB", (64, 64)), "ICO")).state == "ok"


def test_nothing_global_of_pillow_decides_and_nothing_is_warned_of(monkeypatch, make_photo):
    data = encoded(make_photo(200, 150), "PNG")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20_000)
        assert examine(data).state == "ok", "Pillow warns beyond 20,000 pixels"
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
        monkeypatch.setattr(limits, "MOST_PIXELS", 20_000)
        assert examine(data).state == "200 x 150 pixels, too large: 20,000 are the most"
