"""Activations that are a function of their names, so that a wrong one is recognised anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from graft.cache.storage import DiskStorage
from graft.cache.store import Store

SIZE = 10
IDS = ["a:0", "b:0", "c:0", "c:1", "d:0"]


def values_of(ids: Sequence[str], size: int = SIZE) -> np.ndarray:
    """Return the one right array for each name."""
    return np.array(
        [np.random.default_rng(list(name.encode())).random(size) for name in ids], dtype=np.float32
    ).reshape(-1, size)


def open_storage(root: Path, cut: str = "stage4", size: int = SIZE) -> DiskStorage:
    """Open an entry as another process would."""
    return DiskStorage(Store(root), {"cut": cut}, size)


def shards(storage: DiskStorage) -> list[Path]:
    return sorted(storage.folder.glob("*.safetensors"))


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
