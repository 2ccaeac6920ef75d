"""Where rows are kept: in memory here, on disk in `store`, both with the same few verbs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
Mask = NDArray[np.bool_]


class Adding(Protocol):
    """Takes rows of numbers by name."""

    def add(self, ids: Sequence[str], rows: Rows) -> object:
        """Keep rows (N, size)."""


class Shelf(Protocol):
    """Rows of numbers by name."""

    def find(self, ids: Sequence[str]) -> Mask:
        """Say which rows are there."""

    def writer(self) -> AbstractContextManager[Adding]:
        """Return what rows are added to; they are found once it is closed."""

    def read(self, ids: Sequence[str]) -> tuple[Rows, Mask]:
        """Return rows (N, size) in the order asked for, and which of them are right."""


class MemoryShelf:
    """Keeps rows in memory until it is dropped.

    Args:
        size: Numbers per row.

    Example:
        >>> shelf = MemoryShelf(2)
        >>> shelf.add(["a:0", "b:0"], np.array([[1, 2], [3, 4]], dtype=np.float32))
        >>> shelf.find(["b:0", "c:0"]).tolist()
        [True, False]
        >>> shelf.read(["b:0"])[0].tolist()
        [[3.0, 4.0]]
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._rows: dict[str, Rows] = {}

    def find(self, ids: Sequence[str]) -> Mask:
        """Say which rows are there."""
        return np.array([name in self._rows for name in ids], dtype=bool)

    def add(self, ids: Sequence[str], rows: Rows) -> None:
        """Keep copies of rows (N, size)."""
        self._rows.update(zip(ids, rows.copy(), strict=True))

    def writer(self) -> AbstractContextManager[MemoryShelf]:
        """Return the shelf itself: what is added is found at once."""
        return nullcontext(self)

    def read(self, ids: Sequence[str]) -> tuple[Rows, Mask]:
        """Return rows (N, size) in the order asked for; those that are not there are zero."""
        there = self.find(ids)
        rows = np.zeros((len(ids), self.size), dtype=np.float32)
        for index in np.flatnonzero(there).tolist():
            rows[index] = self._rows[ids[index]]
        return rows, there
