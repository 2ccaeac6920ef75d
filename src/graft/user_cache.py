"""Where Graft keeps what it can make again: in the user's cache, or in GRAFT_CACHE."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from graft.errors import RecipeError

OFF = "off"
FEATURES = "features"
FORMER = ("engines", "notes")
"""Folders that nothing writes any more; `graft cache clear` removes what is in them."""


def user_cache() -> Path:
    """Return Graft's cache folder, which need not exist yet.

    It is GRAFT_CACHE where that is set, else "graft" in the platform's cache: XDG_CACHE_HOME or
    ~/.cache, ~/Library/Caches on macOS, %LOCALAPPDATA% on Windows. With GRAFT_CACHE=off it is the
    platform's too, since downloads need a place.

    Example:
        >>> user_cache().is_absolute()
        True
    """
    chosen = os.environ.get("GRAFT_CACHE")
    if chosen and not _is_off(chosen):
        return _folder(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "graft"


def cache_root(chosen: str | os.PathLike[str] | None = None) -> Path | None:
    """Return the folder that keeps what a run may need again; None where nothing is to be kept.

    Args:
        chosen: A folder, "off", or None for GRAFT_CACHE (a folder or "off") or the user's cache.

    Raises:
        RecipeError: No folder can have that name.

    Example:
        >>> cache_root("off") is None
        True
        >>> cache_root("caches/mine").name
        'mine'
    """
    wish = os.fspath(chosen or "") or os.environ.get("GRAFT_CACHE", "")
    if _is_off(wish):
        return None
    return _folder(wish) if wish else user_cache()


def feature_cache(chosen: str | os.PathLike[str] | None = None) -> Path | None:
    """Return the folder for what frozen layers made of images; None where nothing is to be kept.

    Args:
        chosen: As `cache_root` takes it.

    Raises:
        RecipeError: No folder can have that name.
    """
    root = cache_root(chosen)
    return None if root is None else root / FEATURES


def _is_off(wish: str) -> bool:
    return wish.casefold() == OFF


def _folder(name: str) -> Path:
    """Return a folder by its name, which need not exist but must be able to."""
    path = Path(name).expanduser().absolute()
    try:
        path.lstat()
    except (FileNotFoundError, PermissionError):
        pass  # it may come to be, or others say that it may not be read
    except (ValueError, OSError) as error:
        raise RecipeError(
            f"The cache '{name}' can be no folder: {getattr(error, 'strerror', None) or error}.",
            "Give --cache or GRAFT_CACHE another folder, or off.",
        ) from error
    return path
