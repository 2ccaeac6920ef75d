"""How fast the cache's disk is."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from graft.cache.store.layout import fresh_temporary

_BYTES = 8 << 20


def measure_disk(folder: Path) -> tuple[float, float]:
    """Return the seconds that writing and reading one byte take, as rows are written and read.

    Both go through the system's own cache, as the rows' do. Where the folder cannot be written,
    both are 0.
    """
    path = fresh_temporary(folder)
    block = os.urandom(1 << 20)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        with path.open("wb", buffering=0) as file:
            for _ in range(_BYTES >> 20):
                file.write(block)
        written = time.perf_counter()
        with path.open("rb", buffering=0) as file:
            while file.read(1 << 20):
                pass
        read = time.perf_counter()
    except OSError:
        return 0.0, 0.0
    finally:
        with suppress(OSError):
            path.unlink()
    return (written - started) / _BYTES, (read - written) / _BYTES
