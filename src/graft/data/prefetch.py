"""Decoding ahead by threads, and decoded images kept between epochs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from threading import Lock
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from graft.machine import available_memory

Positions = npt.NDArray[np.int64]
Made = TypeVar("Made")
_Begun: TypeAlias = tuple[Positions, list[Future[Made]]]

_BATCHES_AHEAD = 2
_ROWS_IN_TURN = 64


def made_by_threads(
    batches: Iterable[Positions],
    make: Callable[[int], Made],
    *,
    workers: int,
    overlap: bool,
    pool: Executor | None = None,
) -> Generator[tuple[Positions, list[Made]], None, None]:
    """Yield each batch with what threads made of its rows; closing the iterator stops them.

    Args:
        batches: Row numbers.
        make: Makes something of one row.
        workers: Threads.
        overlap: Go on while the consumer works: right where it waits for an accelerator. Without
            it the threads make a few batches at a time, at least 64 rows, and rest while these are
            consumed. A network on the same cores is slowed down by more than the threads gain,
            since each of its operations waits for the slowest core.
        pool: Threads that live on afterwards; None starts some for these batches.

    Raises:
        Exception: What `make` raised, when its batch is due.

    Example:
        >>> made = made_by_threads([np.arange(3)], lambda row: row * 2, workers=2, overlap=True)
        >>> [values for _, values in made]
        [[0, 2, 4]]
    """
    own = ThreadPoolExecutor(workers, thread_name_prefix="graft-decode") if pool is None else None
    submit = (own or pool).submit  # type: ignore[union-attr]
    waiting: set[Future[Made]] = set()

    def begin(row: int) -> Future[Made]:
        future = submit(make, row)
        waiting.add(future)
        future.add_done_callback(waiting.discard)
        return future

    try:
        begun = ((rows, [begin(row) for row in rows.tolist()]) for rows in batches)
        if overlap:
            yield from _beside(begun, workers)
        else:
            yield from _in_turns(begun)
    finally:
        for future in list(waiting):
            future.cancel()
        if own is not None:
            own.shutdown()


def _beside(begun: Iterable[_Begun[Made]], workers: int) -> Iterator[tuple[Positions, list[Made]]]:
    waiting: deque[_Begun[Made]] = deque()
    for rows, futures in begun:
        waiting.append((rows, futures))
        if len(waiting) > max(_BATCHES_AHEAD, -(-2 * workers // max(1, len(rows)))):
            yield _done(waiting.popleft())
    while waiting:
        yield _done(waiting.popleft())


def _in_turns(begun: Iterable[_Begun[Made]]) -> Iterator[tuple[Positions, list[Made]]]:
    group: deque[_Begun[Made]] = deque()
    for batch in begun:
        group.append(batch)
        if sum(len(rows) for rows, _ in group) >= _ROWS_IN_TURN:
            yield from _once_all_rest(group)
    yield from _once_all_rest(group)


def _once_all_rest(group: deque[_Begun[Made]]) -> Iterator[tuple[Positions, list[Made]]]:
    wait([future for _, futures in group for future in futures])
    while group:
        yield _done(group.popleft())


def _done(batch: _Begun[Made]) -> tuple[Positions, list[Made]]:
    rows, futures = batch
    return rows, [future.result() for future in futures]


LARGEST = 1024**3
"""Most bytes that are kept unless more are asked for."""

SHARE = 1 / 8
"""Share of the free memory that is taken unless more is asked for."""

_BYTES_PER_PIXEL = 4  # Pillow keeps RGB so


class PixelCache:
    """Keeps images as they were decoded, so that each is decoded once and not in every epoch.

    What is kept is what `decode` gave, so it changes no number. Once full, it keeps what it has:
    the other images are decoded anew each time, and nothing is gained by exchanging them, since
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
        self._images: dict[Hashable, Image.Image] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        """Return the number of images kept."""
        return len(self._images)

    def get(self, key: Hashable, make: Callable[[], Image.Image]) -> Image.Image:
        """Return an image that is kept, or make it and keep it where there is room.

        Args:
            key: All that determines the image.
            make: Decodes it. Two threads that ask at once may both do so.

        Returns:
            The image, which must not be changed.
        """
        kept = self._images.get(key)
        if kept is not None:
            return kept
        made = make()
        size = bytes_of(made)
        with self._lock:
            if key not in self._images and self.used + size <= self.limit:
                self._images[key] = made
                self.used += size
        return made


def bytes_of(image: Image.Image) -> int:
    """Return the memory that a decoded image takes."""
    return image.width * image.height * _BYTES_PER_PIXEL
