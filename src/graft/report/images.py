"""Images for people: thumbnails inside a page, PNG files of charts, half blocks on a terminal."""

from __future__ import annotations

import base64
import io
import os
from typing import TYPE_CHECKING

from graft.errors import DataError

if TYPE_CHECKING:
    from rich.text import Text


def thumbnail(path: str, side: int = 176) -> str | None:
    """Return an image as the `data:` address of a small JPEG, or None if it cannot be read.

    Args:
        path: An image file.
        side: The longer side in pixels, at most. Default 176.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> path = Path(tempfile.mkdtemp()) / "a.png"
        >>> Image.new("RGB", (640, 480), "green").save(path)
        >>> thumbnail(str(path))[:23]
        'data:image/jpeg;base64,'
        >>> thumbnail("no such file") is None
        True
    """
    from graft.data.decode import decode

    try:
        image = decode(path, side)
    except DataError:
        return None
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


SIDE = 16
"""Letters across; half as many lines."""

UPPER_HALF = "▀"


def half_blocks(path: str | os.PathLike[str], side: int = SIDE) -> Text:
    """Return an image as text of `side` letters by half as many lines; it needs colours.

    Args:
        path: An image file; it is squashed to a square.
        side: Pixels a side, an even number.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> path = os.path.join(tempfile.mkdtemp(), "a.png")
        >>> Image.new("RGB", (40, 40), "red").save(path)
        >>> half_blocks(path, 4).plain.splitlines()
        ['▀▀▀▀', '▀▀▀▀']
    """
    from PIL import Image
    from rich.color import Color
    from rich.style import Style
    from rich.text import Text

    with Image.open(path) as opened:
        small = opened.convert("RGB").resize((side, side), Image.Resampling.BOX)
    pixels = list(zip(*[iter(small.tobytes())] * 3, strict=True))
    drawn = Text(no_wrap=True)
    for row in range(0, side, 2):
        for column in range(side):
            above, below = pixels[row * side + column], pixels[(row + 1) * side + column]
            style = Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below))
            drawn.append(UPPER_HALF, style)
        drawn.append("\n")
    drawn.rstrip()
    return drawn
