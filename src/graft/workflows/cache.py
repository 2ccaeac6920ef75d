"""`graft cache ls|clear`: what is kept to save time, and how to be rid of it.

It works on the folders alone: neither torch nor NumPy is imported.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from graft.cache import store
from graft.cache.store import Item, Store
from graft.errors import RecipeError, ResourceError
from graft.user_cache import FEATURES, FORMER, cache_root, user_cache

DAY = 86400.0

T = TypeVar("T")


def list_cache(cache: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """Say what the cache holds.

    Args:
        cache: Its folder; None takes GRAFT_CACHE or the user's own, even where that is off.

    Returns:
        JSON-ready: "cache" (the folder), "entries" (most recently used first, each with "key",
        "facts", "size", "dtype", "rows", "bytes", "last_used"), their "bytes" in all, and the
        "limit" of these.

    Raises:
        RecipeError: The cache is "off", or no folder.
        ResourceError: The folder may not be read.

    Example:
        >>> import tempfile
        >>> list_cache(tempfile.mkdtemp())["entries"]
        []
    """
    root = _root(cache)
    entries = [_describe(item) for item in _reading(_entries, root / FEATURES)]
    return {
        "cache": str(root),
        "entries": entries[::-1],
        "bytes": sum(entry["bytes"] for entry in entries),
        "limit": Store(root / FEATURES).limit(),
    }


def clear_cache(
    cache: str | os.PathLike[str] | None = None, older_than: float | None = None
) -> dict[str, Any]:
    """Remove what the cache can make again; downloads, and files of others, stay.

    Args:
        cache: Its folder; None takes GRAFT_CACHE or the user's own, even where that is off.
        older_than: Days since the last use of what is removed; None removes all.

    Returns:
        JSON-ready: "cache" (the folder), "entries" (how many were removed), and "bytes" that were
        freed.

    Raises:
        RecipeError: The cache is "off" or no folder, or the days are no number of days.
        ResourceError: Something may not be removed; what may is gone.

    Example:
        >>> import tempfile
        >>> clear_cache(tempfile.mkdtemp())["bytes"]
        0
    """
    if older_than is not None and not 0 <= older_than < math.inf:
        raise RecipeError(
            f"--older-than {older_than:g} is not a number of days.", "Give 0 or more, such as 30."
        )
    root = _root(cache)
    latest = math.inf if older_than is None else time.time() - DAY * older_than
    entries = _reading(_entries, root / FEATURES)
    former = [file for name in FORMER for file in _reading(store.files_by_key, root / name)]
    refused: list[OSError] = []
    removed = freed = 0
    for item in [*entries, *former]:
        if item.last_used <= latest:
            is_entry = item in entries
            try:
                freed += (store.remove_entry if is_entry else store.remove_file)(item.path)
                removed += is_entry
            except OSError as error:
                refused.append(error)
    for name in FORMER:
        with suppress(OSError):  # it is not there, or something of others is in it
            (root / name).rmdir()
    if refused:
        raise ResourceError(
            f"'{refused[0].filename}' cannot be removed: {refused[0].strerror}. {freed} bytes of "
            "other entries were freed.",
            "Ask its owner to clear the cache.",
        )
    return {"cache": str(root), "entries": removed, "bytes": freed}


def _root(cache: str | os.PathLike[str] | None) -> Path:
    root = cache_root(cache)
    if root is None and cache is not None:
        raise RecipeError(f"--cache {cache} names no folder.", "Give --cache DIR, or leave it out.")
    root = root or user_cache()
    if root.exists() and not root.is_dir():
        raise RecipeError(f"--cache {root} is no folder.", "Give the folder of a cache.")
    return root


def _reading(read: Callable[[Path], T], folder: Path) -> T:
    try:
        return read(folder)
    except OSError as error:
        raise ResourceError(
            f"'{error.filename or folder}' cannot be read: {error.strerror or error}.",
            "Choose another --cache, or ask its owner.",
        ) from error


def _entries(folder: Path) -> list[Item]:
    return Store(folder).entries()


def _describe(item: Item) -> dict[str, Any]:
    document = store.describe_entry(item.path)
    facts = document.get("facts")
    used = datetime.fromtimestamp(item.last_used, tz=timezone.utc)
    return {
        "key": item.path.name,
        "facts": facts if isinstance(facts, dict) else {},
        "size": document.get("size"),
        "dtype": document.get("dtype"),
        "rows": store.count_images(item.path),
        "bytes": item.bytes,
        "last_used": used.isoformat(timespec="seconds"),
    }
