"""Where Graft keeps what it can make again: in the user's cache, or in GRAFT_CACHE."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def user_cache() -> Path:
    """Return Graft's cache folder, which need not exist yet.

    It is GRAFT_CACHE where that is set, else "graft" in the platform's cache: XDG_CACHE_HOME or
    ~/.cache, ~/Library/Caches on macOS, %LOCALAPPDATA% on Windows.

    Example:
        >>> user_cache().is_absolute()
        True
    """
    chosen = os.environ.get("GRAFT_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "graft"
