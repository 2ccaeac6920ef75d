"""Large images made smaller while they are decoded, and colour modes converted."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
from PIL import Image

from graft.data.read import UnreadableError

TILE = 1024
"""Side of a tile in pixels; reductions divide it."""


def to_rgb(image: Image.Image, by: int = 1) -> Image.Image:
    """Return an image in three channels of 8 bits, transparent pixels over white.

    Transparency and 16 bits take four copies on the way; in tiles, only the result is as large as
    the image.

    Args:
        image: Loaded, in any mode that Pillow reads. It is left as it is.
        by: Average so many pixels on each side into one, a power of 2, at most `TILE`. The last
            column and row average what there is.

    Raises:
        UnreadableError: The pixels have no defined range.

    Example:
        >>> to_rgb(Image.new("LA", (5, 3), (0, 0)), by=2).getcolors()
        [(6, (255, 255, 255))]
    """
    width, height = image.size
    simple = not (image.mode.startswith("I") or image.has_transparency_data)
    if by == 1 and (simple or width * height <= TILE**2):
        return _convert(image)
    rgb = Image.new("RGB", (-(-width // by), -(-height // by)))
    for top, left in product(range(0, height, TILE), range(0, width, TILE)):
        tile = image.crop((left, top, min(left + TILE, width), min(top + TILE, height)))
        rgb.paste(_convert(tile).reduce(by), (left // by, top // by))
    return rgb


def _convert(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        image = _from_16_bit(image)
    if image.mode == "F":
        raise UnreadableError("floating-point pixels, whose range is not defined")
    try:
        if not image.has_transparency_data:
            return image.convert("RGB")
        rgba = image.convert("RGBA")
    except ValueError as error:
        raise UnreadableError(f"damaged ({error})") from error
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    """Keep the high byte. Pillow's own conversion clips everything above 255 to white."""
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise UnreadableError("32-bit integer pixels, where 8 or 16 bits were expected")
    return Image.fromarray((values >> 8).astype(np.uint8))


# How much larger than needed a reduced image is at least. Twice as large leaves the antialiased
# resize most of its work: views of real photographs differ from those of the whole images by half
# a gray level of 255 on average, where a margin of 1 gives three times that. And a random crop that
# shows a fifth of the area, 0.4 of the shorter side or more, still has nearly as many pixels as the
# network's input; one that shows a third has more.
MARGIN = 2

# Images of more pixels are reduced in every format: a decoded one of 178 million pixels takes
# 700 MB, and each thread may have one in its hands.
LARGE = 1 << 24

_NOTE = "graft: reduction"
_REVERSE_X = (2, 3, 6, 7)  # EXIF orientations in which what was last becomes leftmost
_REVERSE_Y = (3, 4, 7, 8)  # and uppermost


class Reduction(NamedTuple):
    """How a reduced image lies in the whole one.

    Args:
        width: Of the whole image in its pixels, upright.
        height: Of the whole image in its pixels, upright.
        by: Pixels of the whole image per pixel, on each side.
        left: Where the whole image begins, in reduced pixels: 0, or the part of the first column
            that is filler because width is no multiple of `by`.
        top: As `left`, of the first row.
    """

    width: int
    height: int
    by: int
    left: float = 0
    top: float = 0

    @classmethod
    def upright(cls, size: tuple[int, int], by: int, orientation: int) -> Reduction:
        """Return what has become of an image that was reduced and then turned upright.

        Args:
            size: Of the whole image before it was turned.
            by: 1, 2, 4 or 8.
            orientation: 1 to 8, as EXIF numbers them.

        Example:
            >>> Reduction.upright((501, 376), 2, orientation=8)
            Reduction(width=376, height=501, by=2, left=0, top=0.5)
        """
        width, height = size[::-1] if orientation >= 5 else size
        left = -(-width // by) - width / by if orientation in _REVERSE_X else 0
        top = -(-height // by) - height / by if orientation in _REVERSE_Y else 0
        return cls(width, height, by, left, top)


def let_reduce(image: Image.Image, shorter: int) -> int:
    """Set how small a JPEG's decoder, the only one that can scale, may make the image.

    Args:
        image: Opened, and not yet loaded.
        shorter: Length in pixels to which the shorter side will be scaled at most.

    Returns:
        By how much it will be smaller on each side: 1, 2, 4 or 8.
    """
    width, _ = image.size
    drafted = image.draft(None, (MARGIN * shorter, MARGIN * shorter))
    return 1 if drafted is None else round(width / drafted[1][2])


def reduction_of_large(size: tuple[int, int], shorter: int) -> int:
    """Return by how much an image that its decoder cannot reduce is reduced after decoding.

    Args:
        size: Width and height.
        shorter: Length in pixels to which the shorter side will be scaled at most.

    Returns:
        A power of 2: 1 up to `LARGE` pixels, and where less than `MARGIN` times `shorter` remained.

    Example:
        >>> reduction_of_large((16_000, 12_000), 256), reduction_of_large((4_000, 3_000), 256)
        (16, 1)
    """
    by = 1
    while size[0] * size[1] > LARGE and by < TILE and min(size) // (2 * by) >= MARGIN * shorter:
        by *= 2
    return by


def note_reduction(image: Image.Image, reduction: Reduction) -> None:
    """Write onto an image how it was reduced."""
    image.info = {_NOTE: reduction}


def whole_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height of the whole image, of which this may be a reduced one.

    Example:
        >>> whole_size(Image.new("RGB", (40, 30)))
        (40, 30)
    """
    reduction = _reduction(image)
    return reduction.width, reduction.height


def resize(
    image: Image.Image,
    size: tuple[int, int],
    resample: Image.Resampling,
    box: tuple[int, int, int, int] | None = None,
) -> Image.Image:
    """Scale an image, or a box out of it, to a size.

    Args:
        image: The image, perhaps reduced.
        size: Width and height of the result in pixels.
        resample: The interpolation; antialiased.
        box: Left, top, right, bottom in pixels of the whole image; None means all of it.

    Example:
        >>> reduced = Image.new("RGB", (251, 188))
        >>> note_reduction(reduced, Reduction(501, 375, by=2))
        >>> resize(reduced, (100, 75), Image.Resampling.BILINEAR, box=(1, 0, 501, 375)).size
        (100, 75)
    """
    reduction = _reduction(image)
    inside: tuple[float, ...] = box or (0, 0, reduction.width, reduction.height)
    if reduction.by > 1:
        begin = (reduction.left, reduction.top) * 2
        inside = tuple(
            start + edge / reduction.by for start, edge in zip(begin, inside, strict=True)
        )
    resized = image.resize(size, resample, box=inside)  # type: ignore[arg-type]
    resized.info = {}  # Pillow hands the note down, and this is no longer the reduced image
    return resized


def _reduction(image: Image.Image) -> Reduction:
    noted = image.info.get(_NOTE)
    return noted if isinstance(noted, Reduction) else Reduction(*image.size, by=1)
