"""Decoded pictures kept between epochs, as far as memory goes."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Lock

from PIL import Image

from graft.memory import available_memory

LARGEST = 1024**3
"""Most bytes that are kept unless more are asked for."""

SHARE = 1 / 8
"""Share of the free memory that is taken unless more is asked for."""

_BYTES_PER_PIXEL = 4  # Pillow keeps RGB so


class PixelCache:
    """Keeps pictures as they were decoded, so that each is decoded once and not in every epoch.

    What is kept is what `decode` gave, so it changes no number. Once full, it keeps what it has:
    the other pictures are decoded anew each time, and nothing is gained by exchanging them, since
    an epoch needs all alike. Threads and loaders may share one.

    Args:
        limit: Most bytes to keep. None means an eighth of the memory that is free now, 1 GiB at
            most.

    Example:
        >>> cache = PixelCache(limit=1000)
        >>> red = cache.get("red", lambda: Image.new("RGB", (10, 10), "red"))
        >>> cache.get("red", lambda: Image.new("RGB", (10, 10), "blue")) is red
        True
        >>> cache.used
        400
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = min(int(available_memory() * SHARE), LARGEST) if limit is None else limit
        self.used = 0
        self._pictures: dict[Hashable, Image.Image] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        """Return the number of pictures kept."""
        return len(self._pictures)

    def get(self, key: Hashable, make: Callable[[], Image.Image]) -> Image.Image:
        """Return a picture that is kept, or make it and keep it where there is room.

        Args:
            key: All that determines the picture.
            make: Decodes it. Two threads that ask at once may both do so.

        Returns:
            The picture, which must not be changed.
        """
        kept = self._pictures.get(key)
        if kept is not None:
            return kept
        made = make()
        size = bytes_of(made)
        with self._lock:
            if key not in self._pictures and self.used + size <= self.limit:
                self._pictures[key] = made
                self.used += size
        return made


def bytes_of(picture: Image.Image) -> int:
    """Return the memory that a decoded picture takes."""
    return picture.width * picture.height * _BYTES_PER_PIXEL
