"""A picture that was decoded for one view is handed to the other, and kept no longer."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock

from PIL import Image

from graft.data.pixel_cache import PixelCache


class DecodeOnce(PixelCache):
    """Gives the picture that one view asked for to the next that asks, and lets go of it.

    In the place of a loader's pixel cache, it spares every second decoding of a pair of views in
    the memory of a few batches.

    Args:
        beyond: A cache that may keep pictures for longer.

    Example:
        >>> once, made = DecodeOnce(), []
        >>> for _ in range(4):
        ...     picture = once.get("red", lambda: made.append(1) or Image.new("RGB", (1, 1)))
        >>> len(made)
        2
    """

    def __init__(self, beyond: PixelCache | None = None) -> None:
        super().__init__(limit=0)
        self.beyond = beyond
        self._handed: dict[Hashable, Future[Image.Image]] = {}
        self._handing = Lock()

    def __len__(self) -> int:
        """Return the number of pictures that wait for their other view."""
        return len(self._handed)

    def get(self, key: Hashable, make: Callable[[], Image.Image]) -> Image.Image:
        """Return the picture that another view has made or is making, or make it for that view.

        Args:
            key: All that determines the picture.
            make: Decodes it; what it raises, both views raise.
        """
        with self._handing:
            handed = self._handed.pop(key, None)
            if handed is None:
                mine = self._handed[key] = Future()
        if handed is not None:
            return handed.result()
        try:
            made = make() if self.beyond is None else self.beyond.get(key, make)
        except BaseException as error:
            mine.set_exception(error)
            raise
        mine.set_result(made)
        return made
