"""The one way from a file, bytes or an array to an upright RGB image.

Training, prediction, export checks and serving all come through `decode`, so no entrance can turn
a photograph, lose its colours or read a damaged file differently from another.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import PIL
from PIL import Image, features

from graft.data.read import (
    LARGEST_FILE,
    UnreadableError,
    decoding_budget,
    needed,
    regular_file,
    require_icon,
    require_memory,
    require_pixels,
    require_size,
)
from graft.data.reduction import (
    LARGE,
    MARGIN,
    Reduction,
    let_reduce,
    note_reduction,
    reduction_of_large,
    to_rgb,
    whole_size,
)
from graft.errors import DataError

Readable: TypeAlias = (
    "str | os.PathLike[str] | bytes | BinaryIO | Image.Image | npt.NDArray[np.uint8]"
)

# Named one by one because Pillow's full list holds readers that run other programs (EPS).
FORMATS = ("JPEG", "MPO", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM", "ICO")

LARGE_FILE = 8 * 1024**2
"""Files of more bytes are read only once there is room in the budget for them and their pixels."""

_STRIP = 256
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


class Examination(NamedTuple):
    """What `examine` found.

    Args:
        width: Upright width in pixels; 0 if unknown.
        height: Upright height in pixels; 0 if unknown.
        state: "ok", or the reason the image cannot be read.
        sha256: SHA-256 of the encoded bytes; "" if they could not be read.
        pixels: SHA-256 of the decoded pixels; "" where they were not read.
        whole: Whether these are the pixels of the whole image, and not of a reduced one.
        colours: Mean red, green and blue, 0 to 255, of its four quarters: 12 numbers, with which a
            reduced image can be compared with a whole one.
    """

    width: int
    height: int
    state: str
    sha256: str
    pixels: str = ""
    whole: bool = False
    colours: bytes = b""


def decode(source: Readable, shorter: int | None = None, sha256: str = "") -> Image.Image:
    """Read one image: upright, three channels of 8 bits, the first frame, alpha over white.

    All threads together take at most `limits.BUDGET` bytes for it and wait for one another beyond
    that; see `limits` for the images that are refused.

    Args:
        source: A path, encoded bytes, a binary file, a Pillow image, or a uint8 array of shape
            (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).
        shorter: Length in pixels to which the shorter side will be scaled at most. An encoded
            JPEG that is much larger is decoded at a half, a quarter or an eighth of its size,
            which spares most of the work, as long as twice this length remains; the image then
            notes what it is (see `data.reduction`). So are other formats of more than
            `reduction.LARGE` pixels, after decoding. None decodes the whole image.
        sha256: What the SHA-256 of the encoded bytes was when they were last looked at; "" does
            not ask. The bytes are read once, so what is decoded is what was hashed.

    Returns:
        A new Pillow image in mode RGB, turned as its EXIF orientation says.

    Raises:
        DataError: The source is missing, empty, damaged, too large or no image, or its bytes
            are others than `sha256` says; the error names it and the reason.

    Example:
        >>> decode(np.zeros((2, 3), dtype=np.uint8)).size
        (3, 2)
        >>> decode(b"")
        Traceback (most recent call last):
        graft.errors.DataError: The given bytes cannot be read: zero bytes. Replace or remove it.
    """
    try:
        if isinstance(source, (Image.Image, np.ndarray)):
            given = source if isinstance(source, Image.Image) else _from_array(source)
            # What somebody else opened is left as it is.
            return _upright_rgb(_Opened(given, given.size, 1, 1, needed(given, given.size)))
        with _encoded(source, shorter) as (data, held):
            if sha256 and hashlib.sha256(data).hexdigest() != sha256:
                raise DataError(
                    f"{_name(source)} has changed since it was first read.",
                    "Leave the images alone during a run; start a new run to use the new ones.",
                )
            return _upright_rgb(_open(io.BytesIO(data), shorter), len(data), held)
    except UnreadableError as error:
        problem = f"{_name(source)} cannot be read: {error}."
        raise DataError(problem, "Replace or remove it.") from error


def examine(source: str | os.PathLike[str] | bytes, *, pixels: bool = True) -> Examination:
    """Find out whether `decode` would succeed, for less than its price.

    Every encoded byte is still read; a JPEG is decoded at an eighth of its size, which leaves
    little more than the entropy decoding that reveals damage.

    Args:
        source: A path or encoded bytes.
        pixels: Read the pixels too; with False only the header is looked at.

    Example:
        >>> examine(b"these are not pixels").state
        'not an image in a supported format'
    """
    width, height, digest = 0, 0, ""
    try:
        with _encoded(source, 1) as (data, held):
            digest = hashlib.sha256(data).hexdigest()
            opened = _open(io.BytesIO(data), 1)
            turned = _orientation(opened.image) >= 5
            width, height = opened.whole[::-1] if turned else opened.whole
            if not pixels:
                return Examination(width, height, "ok", digest)
            image = _upright_rgb(opened, len(data), held)
            width, height = whole_size(image)
            facts = (pixel_digest(image), image.size == (width, height), _quarters(image))
            return Examination(width, height, "ok", digest, *facts)
    except UnreadableError as error:
        return Examination(width, height, str(error), digest)


def pixel_digest(image: Image.Image) -> str:
    """Return the SHA-256 of an image's pixels, the same for every file that decodes to them.

    Example:
        >>> red = Image.new("RGB", (600, 400), "red")
        >>> pixel_digest(red) == pixel_digest(red.copy())
        True
    """
    digest = hashlib.sha256(repr(image.size).encode())
    for top in range(0, image.height, _STRIP):  # in strips, so that there is no second image
        strip = image.crop((0, top, image.width, min(top + _STRIP, image.height)))
        digest.update(strip.tobytes())
    return digest.hexdigest()


def _quarters(image: Image.Image) -> bytes:
    return image.resize((2, 2), Image.Resampling.BOX).tobytes()


def decoder() -> str:
    """Name all that pixels depend on besides the file: what is kept of them is only good for it.

    Example:
        >>> decoder().startswith("pillow ")
        True
    """
    libraries = {name: features.version(name) for name in ("libjpeg_turbo", "jpg", "webp", "avif")}
    named = [f"{name} {version}" for name, version in libraries.items() if version]
    reduced = f"reduced to {MARGIN}, in every format beyond {LARGE} pixels"
    return ", ".join([f"pillow {PIL.__version__}", *named, reduced])


def is_image(path: str | os.PathLike[str]) -> bool:
    """Return whether a file begins like an image, whatever its name."""
    try:
        with regular_file(path) as file:
            return bool(identify(file).format)
    except UnreadableError:
        return False


def identify(file: BinaryIO) -> Image.Image:
    """Open an image by its header, without reading pixels.

    Unlike `Image.open` it warns of nothing, asks no global limit, and decodes no large icon.

    Raises:
        UnreadableError: The file is empty, no image in a supported format, or one that is too
            large or damaged.
    """
    prefix = file.read(16)
    if not prefix:
        raise UnreadableError("zero bytes")
    Image.init()
    for name in FORMATS:
        factory, accept = Image.OPEN.get(name, (None, None))
        if factory is None or accept is None or accept(prefix) is not True:
            continue
        file.seek(0)
        try:
            if name == "ICO":
                require_icon(file)
            image = factory(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue  # it only seemed to be of this format
        except UnreadableError:
            raise
        except Exception as error:  # a damaged header makes Pillow's readers raise nearly anything
            raise UnreadableError(_reason(error)) from error
        require_pixels(image)
        return image
    raise UnreadableError("not an image in a supported format")


class _Opened(NamedTuple):
    """An image whose header was read, and whose reduction may be set.

    Args:
        image: As it will be loaded; the caller's own if no bytes were given.
        whole: Width and height before the reduction.
        spec: By how much it will be smaller on each side as it is loaded.
        averaged: Pixels on each side to make one of after loading.
        need: Bytes that decoding will take beside the encoded ones, as an estimate.
    """

    image: Image.Image
    whole: tuple[int, int]
    spec: int
    averaged: int
    need: int


def _open(file: BinaryIO, shorter: int | None) -> _Opened:
    image = identify(file)
    after_header, whole, spec, averaged = file.tell(), image.size, 1, 1
    if shorter:
        spec = let_reduce(image, shorter)
        averaged = reduction_of_large(image.size, shorter)
    file.seek(after_header)
    return _Opened(image, whole, spec, averaged, needed(image, whole, file))


@contextmanager
def _encoded(
    source: str | os.PathLike[str] | bytes | BinaryIO, shorter: int | None
) -> Iterator[tuple[bytes, int]]:
    """Yield the encoded bytes, read once, and how much of the budget is held for them."""
    held = 0
    with ExitStack() as holding:
        if isinstance(source, bytes):
            data = source
        elif not isinstance(source, (str, os.PathLike)):
            data = source.read(LARGEST_FILE + 1)
        else:
            with regular_file(source) as file:
                size = os.fstat(file.fileno()).st_size
                if size > LARGE_FILE:
                    held = size + _open(file, shorter).need
                    require_memory(held)
                    holding.enter_context(decoding_budget().taking(held))
                    file.seek(0)
                data = file.read(size + 1)
        require_size(len(data))
        yield data, held


def _upright_rgb(opened: _Opened, encoded: int = 0, held: int = 0) -> Image.Image:
    """Decode what was opened, within the budget.

    Args:
        opened: The image.
        encoded: Bytes that it was opened from.
        held: Bytes of the budget that are held for it already; 0 takes what it needs.
    """
    need = opened.need + encoded
    require_memory(need)
    if 0 < held < need:
        raise UnreadableError("it changed while it was read")
    with nullcontext() if held else decoding_budget().taking(need):
        loaded = _load(opened.image)
        orientation = _orientation(loaded)  # after loading, as a TIFF turns itself while loading
        size = loaded.size
        image = to_rgb(loaded, opened.averaged)
        if encoded:
            loaded.close()
        image = _upright(image, orientation)
    image.info = {}  # the orientation is used up; kept, it would turn the image once more
    by = opened.spec * opened.averaged
    if by > 1:
        whole = opened.whole if opened.spec > 1 else size
        note_reduction(image, Reduction.upright(whole, by, orientation))
    return image


def _from_array(array: npt.NDArray[Any]) -> Image.Image:
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise UnreadableError(
            f"an array of {array.dtype} with shape {array.shape}, where uint8 (H, W), (H, W, 1), "
            "(H, W, 3) or (H, W, 4) was expected"
        )
    if array.size == 0:
        raise UnreadableError("no pixels")
    return Image.fromarray(array[:, :, 0] if array.ndim == 3 and channels == 1 else array)


def _load(image: Image.Image) -> Image.Image:
    """Read the pixels of the first (or the current) frame."""
    try:
        image.load()
    except Exception as error:  # damaged data makes Pillow's decoders raise nearly anything
        raise UnreadableError(_reason(error)) from error
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


def _reason(error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, too large to be an image"
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
