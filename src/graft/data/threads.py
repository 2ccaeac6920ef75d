"""Work that threads do for the batches to come: beside the consumer, or in turns with it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
Made = TypeVar("Made")
_Begun: TypeAlias = tuple[Rows, list[Future[Made]]]

_BATCHES_AHEAD = 2
_ROWS_IN_TURN = 64


def made_by_threads(
    batches: Iterable[Rows],
    make: Callable[[int], Made],
    *,
    workers: int,
    overlap: bool,
    pool: Executor | None = None,
) -> Generator[tuple[Rows, list[Made]], None, None]:
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


def _beside(begun: Iterable[_Begun[Made]], workers: int) -> Iterator[tuple[Rows, list[Made]]]:
    waiting: deque[_Begun[Made]] = deque()
    for rows, futures in begun:
        waiting.append((rows, futures))
        if len(waiting) > max(_BATCHES_AHEAD, -(-2 * workers // max(1, len(rows)))):
            yield _done(waiting.popleft())
    while waiting:
        yield _done(waiting.popleft())


def _in_turns(begun: Iterable[_Begun[Made]]) -> Iterator[tuple[Rows, list[Made]]]:
    group: deque[_Begun[Made]] = deque()
    for batch in begun:
        group.append(batch)
        if sum(len(rows) for rows, _ in group) >= _ROWS_IN_TURN:
            yield from _once_all_rest(group)
    yield from _once_all_rest(group)


def _once_all_rest(group: deque[_Begun[Made]]) -> Iterator[tuple[Rows, list[Made]]]:
    wait([future for _, futures in group for future in futures])
    while group:
        yield _done(group.popleft())


def _done(batch: _Begun[Made]) -> tuple[Rows, list[Made]]:
    rows, futures = batch
    return rows, [future.result() for future in futures]
