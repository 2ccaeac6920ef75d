"""The one way from a file, bytes or an array to an upright RGB picture.

Training, prediction, export checks and serving all come through `decode`, so no entrance can turn
a photograph, lose its colours or read a damaged file differently from another.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import PIL
from PIL import Image, UnidentifiedImageError, features

from graft.data.reduction import MARGIN, Reduction, let_reduce, note_reduction
from graft.errors import DataError

Readable: TypeAlias = (
    "str | os.PathLike[str] | bytes | BinaryIO | Image.Image | npt.NDArray[np.uint8]"
)

# Named one by one because Pillow's full list holds readers that run other programs (EPS).
FORMATS = ("JPEG", "MPO", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM", "ICO")

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class _UnreadableError(Exception):
    """Why a source is not a picture, in words that complete "cannot be read: ..."."""


class Examination(NamedTuple):
    """What `examine` found.

    Args:
        width: Upright width in pixels; 0 if unknown.
        height: Upright height in pixels; 0 if unknown.
        state: "ok", or the reason the picture cannot be read.
        sha256: SHA-256 of the encoded bytes; "" if they could not be read.
    """

    width: int
    height: int
    state: str
    sha256: str


def decode(source: Readable, shorter: int | None = None) -> Image.Image:
    """Read one picture: upright, three channels of 8 bits, the first frame, alpha over white.

    Args:
        source: A path, encoded bytes, a binary file, a Pillow image, or a uint8 array of shape
            (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).
        shorter: Length in pixels to which the shorter side will be scaled at most. An encoded
            JPEG that is much larger is decoded at a half, a quarter or an eighth of its size,
            which spares most of the work, as long as twice this length remains; the picture then
            notes what it is (see `data.reduction`). None decodes the whole picture.

    Returns:
        A new Pillow image in mode RGB, turned as its EXIF orientation says.

    Raises:
        DataError: The source is missing, empty, damaged, too large or no picture; the error names
            it and the reason.

    Example:
        >>> decode(np.zeros((2, 3), dtype=np.uint8)).size
        (3, 2)
        >>> decode(b"")
        Traceback (most recent call last):
        graft.errors.DataError: The given bytes cannot be read: zero bytes. Replace or remove it.
    """
    try:
        opened = _open(source)
        whole = opened.size
        # What somebody else opened is left as it is.
        by = let_reduce(opened, shorter) if shorter and opened is not source else 1
        loaded = _load(opened)
        orientation = _orientation(loaded)
        image = _to_rgb(_upright(loaded, orientation))
    except _UnreadableError as error:
        problem = f"{_name(source)} cannot be read: {error}."
        raise DataError(problem, "Replace or remove it.") from error
    image.info = {}  # the orientation is used up; kept, it would turn the picture once more
    if by > 1:
        note_reduction(image, Reduction.upright(whole, by, orientation))
    return image


def examine(
    source: str | os.PathLike[str] | bytes,
    *,
    pixels: bool = True,
    known: Mapping[str, tuple[int, int]] | None = None,
) -> Examination:
    """Find out whether `decode` would succeed, for less than its price.

    Every encoded byte is still read; a JPEG is decoded at an eighth of its size, which leaves
    little more than the entropy decoding that reveals damage.

    Args:
        source: A path or encoded bytes.
        pixels: Read the pixels too; with False only the header is looked at.
        known: Upright width and height by the SHA-256 of pictures that were read before: bytes
            found there are not decoded again.

    Example:
        >>> examine(b"these are not pixels").state
        'not an image in a supported format'
    """
    width, height, digest = 0, 0, ""
    try:
        data = _bytes(source)
        digest = hashlib.sha256(data).hexdigest()
        if known and digest in known:
            return Examination(*known[digest], "ok", digest)
        image = _open(data)
        width, height = image.size
        if _orientation(image) >= 5:
            width, height = height, width
        if pixels and image.format == "JPEG":
            image.draft("L", (1, 1))
            _load(image)
        elif pixels:
            loaded = _load(image)
            width, height = _to_rgb(_upright(loaded, _orientation(loaded))).size
    except _UnreadableError as error:
        return Examination(width, height, str(error), digest)
    return Examination(width, height, "ok", digest)


def decoder() -> str:
    """Name all that pixels depend on besides the file: what is kept of them is only good for it.

    Example:
        >>> decoder().startswith("pillow ")
        True
    """
    libraries = {name: features.version(name) for name in ("libjpeg_turbo", "jpg", "webp", "avif")}
    named = [f"{name} {version}" for name, version in libraries.items() if version]
    return ", ".join([f"pillow {PIL.__version__}", *named, f"reduced to {MARGIN}"])


def is_picture(path: str | os.PathLike[str]) -> bool:
    """Return whether a file begins like a picture, whatever its name."""
    try:
        with Image.open(path, formats=_formats()):
            return True
    except Exception:  # whatever cannot be opened is no picture
        return False


def _open(source: Readable) -> Image.Image:
    """Identify the format without reading pixels."""
    if isinstance(source, Image.Image):
        return source
    if isinstance(source, np.ndarray):
        return _from_array(source)
    data = _bytes(source)
    if not data:
        raise _UnreadableError("zero bytes")
    try:
        return Image.open(io.BytesIO(data), formats=_formats())
    except UnidentifiedImageError as error:
        raise _UnreadableError("not an image in a supported format") from error
    except Exception as error:  # a damaged header makes Pillow's readers raise nearly anything
        raise _UnreadableError(_reason(error)) from error


def _formats() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _bytes(source: str | os.PathLike[str] | bytes | BinaryIO) -> bytes:
    if isinstance(source, bytes):
        return source
    if not isinstance(source, (str, os.PathLike)):
        return source.read()
    path = Path(source)
    try:
        if path.exists() and not path.is_file():
            raise _UnreadableError("not a regular file")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise _UnreadableError("no such file") from error
    except (OSError, ValueError) as error:
        raise _UnreadableError(_reason(error)) from error


def _from_array(array: npt.NDArray[Any]) -> Image.Image:
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise _UnreadableError(
            f"an array of {array.dtype} with shape {array.shape}, where uint8 (H, W), (H, W, 1), "
            "(H, W, 3) or (H, W, 4) was expected"
        )
    if array.size == 0:
        raise _UnreadableError("no pixels")
    return Image.fromarray(array[:, :, 0] if array.ndim == 3 and channels == 1 else array)


def _load(image: Image.Image) -> Image.Image:
    """Read the pixels of the first (or the current) frame."""
    try:
        image.load()
    except Exception as error:  # damaged data makes Pillow's decoders raise nearly anything
        raise _UnreadableError(_reason(error)) from error
    return image


def _orientation(image: Image.Image) -> int:
    """Return the orientation; of pixels, ask after loading, as TIFF turns itself while loading."""
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # damaged EXIF beside sound pixels: the pixels still count
        return 1
    return orientation if orientation in _UPRIGHT else 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image if orientation == 1 else image.transpose(_UPRIGHT[orientation])


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        image = _from_16_bit(image)
    if image.mode == "F":
        raise _UnreadableError("floating-point pixels, whose range is not defined")
    try:
        if not image.has_transparency_data:
            return image.convert("RGB")
        rgba = image.convert("RGBA")
    except ValueError as error:
        raise _UnreadableError(_reason(error)) from error
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    """Keep the high byte. Pillow's own conversion clips everything above 255 to white."""
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise _UnreadableError("32-bit integer pixels, where 8 or 16 bits were expected")
    return Image.fromarray((values >> 8).astype(np.uint8))


def _reason(error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, too large to be a picture"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if "truncated" in str(error).lower() or isinstance(error, EOFError):
        return "truncated"
    return f"damaged ({str(error).rstrip('.') or type(error).__name__})"


def _name(source: Readable) -> str:
    if isinstance(source, (str, os.PathLike)):
        return f"'{os.fspath(source)}'"
    if isinstance(source, bytes):
        return "The given bytes"
    if isinstance(source, (Image.Image, np.ndarray)):
        return "The given image"
    return f"'{getattr(source, 'name', 'The given file')}'"
