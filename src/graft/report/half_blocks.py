"""A small picture on a terminal: coloured half blocks, two pixels in each letter."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

SIDE = 16
"""Letters across; half as many lines."""

UPPER_HALF = "▀"


def half_blocks(path: str | os.PathLike[str], side: int = SIDE) -> Text:
    """Return a picture as text of `side` letters by half as many lines; it needs colours.

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
