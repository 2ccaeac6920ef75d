"""From the mode that an image file has to RGB, a tile at a time where a copy would be large."""

from __future__ import annotations

from itertools import product

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
