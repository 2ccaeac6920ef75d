"""Small pictures inside a page."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

from graft.errors import DataError

if TYPE_CHECKING:
    from PIL import Image


def thumbnail(path: str, side: int = 176) -> str | None:
    """Return an image as the `data:` address of a small JPEG, or None if it cannot be read.

    Args:
        path: An image file.
        side: The longer side in pixels, at most. Default 176.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> path = Path(tempfile.mkdtemp()) / "a.png"
        >>> Image.new("RGB", (640, 480), "green").save(path)
        >>> thumbnail(str(path))[:23]
        'data:image/jpeg;base64,'
        >>> thumbnail("no such file") is None
        True
    """
    try:
        image = _decoded(Path(path), 2 * side)
    except (DataError, OSError, ValueError):  # ValueError: a path with a zero byte in it
        return None
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _decoded(path: Path, side: int) -> Image.Image:
    """Decode a file; a JPEG no larger than it will be shown, which is many times quicker."""
    from PIL import Image, UnidentifiedImageError

    from graft.data.decode import decode

    if not path.is_file():
        raise DataError(f"'{path}' is not a file.")
    try:
        with Image.open(path, formats=["JPEG"]) as image:
            image.draft("RGB", (side, side))
            return decode(image)
    except UnidentifiedImageError:
        return decode(path)
