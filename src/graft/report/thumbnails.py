"""Small pictures inside a page."""

from __future__ import annotations

import base64
import io

from graft.errors import DataError


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
