"""What the cache holds, what of it may go, and how much of it there may be. Without NumPy."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graft.cache.store.header import HEADER_BYTES, Header
from graft.cache.store.layout import ENGINE, FACTS, KEY, SHARD, TEMPORARY, is_ours, listing

CRASHED = 3600.0
"""Seconds after which nobody is still writing a temporary file."""

MOST_BYTES = 20 << 30
MOST_SHARE = 0.1


@dataclass(frozen=True)
class Holding:
    """An entry or an engine, seen from outside.

    Args:
        path: Where it lies; named by its key.
        bytes: Of the cache's own files in it.
        last_used: In seconds since 1970.
    """

    path: Path
    bytes: int
    last_used: float


def holdings(root: Path) -> list[Holding]:
    """Return the entries below a folder of features, least recently used first.

    Raises:
        OSError: The folder may not be read.
    """
    found = []
    for item in listing(root):
        if KEY.fullmatch(item.name) and item.is_dir(follow_symlinks=False):
            folder = Path(item.path)
            files = {name: stat for name, stat in _files(folder) if is_ours(name)}
            if files:
                # Without a stamp, the youngest of its files says when it was in use.
                stamp = files.get(FACTS) or max(files.values(), key=lambda stat: stat.st_mtime)
                size = sum(stat.st_size for stat in files.values())
                found.append(Holding(folder, size, stamp.st_mtime))
    return sorted(found, key=lambda holding: (holding.last_used, holding.path.name))


def document(folder: Path) -> dict[str, Any]:
    """Return what an entry says of itself, as far as it can be read."""
    try:
        found = json.loads((folder / FACTS).read_bytes(), parse_constant=_refuse)
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def count_rows(folder: Path) -> int:
    """Return how many rows an entry holds, by the headers of its shards."""
    rows = 0
    for item in listing(folder):
        if SHARD.fullmatch(item.name):
            with suppress(OSError, ValueError), Path(item.path).open("rb", buffering=0) as file:
                header = Header.unpack(file.read(HEADER_BYTES))
                if header.file_bytes == item.stat().st_size:
                    rows += header.rows
    return rows


def remove(folder: Path) -> int:
    """Remove an entry and return the bytes that were freed; what is not the cache's own stays.

    Raises:
        OSError: A file may not be removed.
    """
    freed = 0
    names = [name for name, _ in _files(folder) if is_ours(name)]
    # The facts go last: until then, people can see what the rest is.
    for name in sorted(names, key=lambda name: name == FACTS):
        freed += remove_file(folder / name)
    with suppress(OSError):  # somebody else's file, or a shard that came just now
        folder.rmdir()
    return freed


def files_by_key(root: Path) -> list[Holding]:
    """Return the exported engines, or the notes, of a folder, least recently used first.

    Raises:
        OSError: The folder may not be read.
    """
    found = [
        Holding(root / name, stat.st_size, stat.st_mtime)
        for name, stat in _files(root)
        if ENGINE.fullmatch(name) or TEMPORARY.fullmatch(name)
    ]
    return sorted(found, key=lambda holding: (holding.last_used, holding.path.name))


def remove_file(path: Path) -> int:
    """Remove a file and return the bytes that were freed.

    Raises:
        OSError: It may not be removed.
    """
    try:
        size = path.stat(follow_symlinks=False).st_size
        path.unlink()
    except FileNotFoundError:
        return 0
    return size


def sweep(root: Path, now: float | None = None) -> int:
    """Remove what crashed processes left half written, and return the bytes that were freed."""
    latest = (time.time() if now is None else now) - CRASHED
    freed = 0
    with suppress(OSError):
        for folder in (root, *(holding.path for holding in holdings(root))):
            for name, stat in _files(folder):
                if TEMPORARY.fullmatch(name) and stat.st_mtime < latest:
                    freed += remove_file(folder / name)
    return freed


def evict(root: Path, limit_bytes: int, keep: Container[str] = ()) -> int:
    """Remove the least recently used entries until the rest is within a limit.

    Nothing here fails: an entry that cannot be removed stays.

    Args:
        root: The folder of features.
        limit_bytes: Of all entries together.
        keep: Keys of entries that stay, whatever the limit.

    Returns:
        The bytes that were freed.
    """
    freed = sweep(root)
    try:
        found = holdings(root)
    except OSError:
        return freed
    excess = sum(holding.bytes for holding in found) - limit_bytes
    for holding in found:
        if excess <= 0:
            break
        if holding.path.name not in keep:
            with suppress(OSError):
                gone = remove(holding.path)
                excess, freed = excess - gone, freed + gone
    return freed


def usage(root: Path, only: Container[str] | None = None) -> int:
    """Return the bytes of all entries, or of those with some keys; 0 where none may be read."""
    try:
        found = holdings(root)
    except OSError:
        return 0
    return sum(item.bytes for item in found if only is None or item.path.name in only)


def default_limit(root: Path) -> int:
    """Return the bytes that entries may take: 20 GiB, or 10 % of what the disk could give them.

    Example:
        >>> 0 <= default_limit(Path.cwd() / "features") <= 20 * 1024**3
        True
    """
    place = next((place for place in (root, *root.absolute().parents) if place.is_dir()), None)
    try:
        free = shutil.disk_usage(place).free if place else 0
    except OSError:
        free = 0
    return min(MOST_BYTES, int(MOST_SHARE * (free + usage(root))))


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    for item in listing(folder):
        # Other processes remove files while they are listed.
        with suppress(FileNotFoundError):
            if not item.is_dir(follow_symlinks=False):
                yield item.name, item.stat(follow_symlinks=False)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
