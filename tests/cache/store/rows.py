"""Rows that are a function of their names, so that a wrong one is recognised anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from graft.cache.store import shard
from graft.cache.store.entry import Entry
from graft.cache.store.store import Store

SIZE = 10


def make_rows(ids: Sequence[str], size: int = SIZE) -> np.ndarray:
    """Return the one right row for each name."""
    return np.array(
        [np.random.default_rng(list(row.encode())).random(size) for row in ids], dtype=np.float32
    ).reshape(-1, size)


@pytest.fixture(scope="session")
def rows_of() -> Callable[[Sequence[str]], np.ndarray]:
    return make_rows


@pytest.fixture
def small_blocks() -> Iterator[None]:
    """Let a checksum stand for two rows, so that small shards have several blocks."""
    with patch.object(shard, "BLOCK_BYTES", 2 * SIZE * 4):
        yield


@pytest.fixture
def reopened(tmp_path: Path) -> Callable[[], Entry]:
    """Open the same entry anew, as another process would."""
    return lambda: Store(tmp_path / "features").entry({"cut": "stage4"}, SIZE)


@pytest.fixture
def entry(reopened: Callable[[], Entry]) -> Entry:
    return reopened()


def only_shard(entry: Entry) -> Path:
    """Return the path of an entry's one shard."""
    [path] = entry.folder.glob("*.rows")
    return path


@pytest.fixture(scope="session")
def shard_of() -> Callable[[Entry], Path]:
    return only_shard
