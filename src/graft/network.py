"""Whether Graft may ask the network for anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

VARIABLES = ("GRAFT_OFFLINE", "HF_HUB_OFFLINE")
"""Environment variables that keep Graft offline: its own, and that of the Hugging Face tools."""

_YES = frozenset({"1", "true", "yes", "on"})
_asked_to_stay: ContextVar[bool] = ContextVar("asked_to_stay_offline", default=False)


def offline() -> bool:
    """Return whether nothing may be asked of the network.

    That is so inside `staying_offline()`, and wherever GRAFT_OFFLINE or HF_HUB_OFFLINE is 1 (true,
    yes, on).

    Example:
        >>> with staying_offline():
        ...     offline()
        True
    """
    return _asked_to_stay.get() or any(
        os.environ.get(name, "").strip().casefold() in _YES for name in VARIABLES
    )


@contextmanager
def staying_offline(wanted: bool = True) -> Iterator[None]:
    """Ask nothing of the network inside the block.

    Threads that are started inside do not inherit it; it is meant for the workflows, which fetch
    what they need before they start any.

    Args:
        wanted: What `--offline` says. False changes nothing: where the environment or an outer
            block keeps Graft offline, it stays so.
    """
    token = _asked_to_stay.set(wanted or _asked_to_stay.get())
    try:
        yield
    finally:
        _asked_to_stay.reset(token)
