"""A small picture in letters, for any terminal."""

from __future__ import annotations

import os

LARGEST = 16
"""Most pixels a side; a larger picture is none in letters."""

BLOCKS = " ░▒▓█"
LETTERS = " .+#@"


def shades(path: str | os.PathLike[str], scale: str = BLOCKS) -> list[str] | None:
    """Return a picture as lines of letters, two for each pixel; None if it is too large for that.

    Args:
        path: An image file.
        scale: Letters from black to white.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> path = os.path.join(tempfile.mkdtemp(), "a.png")
        >>> image = Image.new("L", (2, 1))
        >>> image.putpixel((1, 0), 255)
        >>> image.save(path)
        >>> shades(path, LETTERS)
        ['  @@']
    """
    from PIL import Image

    with Image.open(path) as opened:
        width, height = opened.size
        if max(width, height) > LARGEST:
            return None
        grey = opened.convert("L")
    last = len(scale) - 1
    letters = [scale[round(value / 255 * last)] * 2 for value in grey.tobytes()]
    return ["".join(letters[row * width : (row + 1) * width]) for row in range(height)]
