"""How the cache lies on disk: which names are its own, and how its files come to be.

    features/KEY/entry.json     what the rows are, for people
    features/KEY/NAME.rows      a shard: rows that were written together
    features/KEY/.NAME.tmp      a file that is being written, or was when its process died
    engines/KEY.KIND            an exported engine
    notes/KEY.KIND              what a run need not find out again

KEY is 64 and NAME 32 hexadecimal digits. Whatever else lies there is somebody else's and stays.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterable
from pathlib import Path

FACTS = "entry.json"
KEY = re.compile(r"[0-9a-f]{64}")
ENGINE = re.compile(r"[0-9a-f]{64}(\.[0-9a-z]+)+")
SHARD = re.compile(r"[0-9a-f]{32}\.rows")
TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.tmp")


def is_ours(name: str) -> bool:
    """Say whether a file of an entry's folder was written by the cache.

    Example:
        >>> [is_ours(name) for name in ("entry.json", f"{'0' * 32}.rows", "notes.txt")]
        [True, True, False]
    """
    return name == FACTS or bool(SHARD.fullmatch(name) or TEMPORARY.fullmatch(name))


def listing(folder: Path) -> list[os.DirEntry[str]]:
    """Return what lies in a folder, by name; nothing where there is no such folder.

    Raises:
        OSError: The folder may not be read.
    """
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda item: item.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def fresh_shard(folder: Path) -> Path:
    """Return a path for a shard that no process has used or will use."""
    return folder / f"{uuid.uuid4().hex}.rows"


def fresh_temporary(folder: Path) -> Path:
    """Return a path for a file that is removed one day if its process dies."""
    return folder / f".{uuid.uuid4().hex}.tmp"


def write_whole(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Write a file under a temporary name and rename it, so that nobody sees half of it.

    Nothing is fsynced, unlike in `graft.files`: after a loss of power a file may hold anything, but
    checksums find that out, and all that is lost can be made again.

    Raises:
        OSError: What the system says.
    """
    temporary = fresh_temporary(path.parent)
    try:
        with temporary.open("xb", buffering=0) as file:
            for part in parts:
                left = memoryview(part)
                while len(left):
                    left = left[file.write(left) :]
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
