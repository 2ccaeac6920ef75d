"""Pictures that their decoder made smaller, handled in the measures of the whole picture.

A JPEG reduced by 2 has half the pixels on each side, rounded up. If views were cut out in those
pixels, rounding would shift them by up to a pixel of the network's input; so every size and box
stays in pixels of the whole picture until the one resize.
"""

from __future__ import annotations

from typing import NamedTuple

from PIL import Image

from graft.data.convert import TILE

# How much larger than needed a reduced picture is at least. Twice as large leaves the antialiased
# resize most of its work: views of real photographs differ from those of the whole pictures by half
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
    """How a reduced picture lies in the whole one.

    Args:
        width: Of the whole picture in its pixels, upright.
        height: Of the whole picture in its pixels, upright.
        by: Pixels of the whole picture per pixel, on each side.
        left: Where the whole picture begins, in reduced pixels: 0, or the part of the first column
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
        """Return what has become of a picture that was reduced and then turned upright.

        Args:
            size: Of the whole picture before it was turned.
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
    """Tell a JPEG's decoder, the only one that can, how small it may make the picture.

    Args:
        image: Opened, and not yet loaded.
        shorter: Length in pixels to which the shorter side will be scaled at most.

    Returns:
        By how much it will be smaller on each side: 1, 2, 4 or 8.
    """
    width, _ = image.size
    told = image.draft(None, (MARGIN * shorter, MARGIN * shorter))
    return 1 if told is None else round(width / told[1][2])


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
    """Write onto a picture how it was reduced."""
    image.info = {_NOTE: reduction}


def whole_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height of the whole picture, of which this may be a reduced one.

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
    """Scale a picture, or a box out of it, to a size.

    Args:
        image: The picture, perhaps reduced.
        size: Width and height of the result in pixels.
        resample: The interpolation; antialiased.
        box: Left, top, right, bottom in pixels of the whole picture; None means all of it.

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
    resized.info = {}  # Pillow hands the note down, and this is no longer the reduced picture
    return resized


def _reduction(image: Image.Image) -> Reduction:
    noted = image.info.get(_NOTE)
    return noted if isinstance(noted, Reduction) else Reduction(*image.size, by=1)
