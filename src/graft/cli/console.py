"""Where things are shown: progress and tables on standard error, JSON on standard output."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def err() -> Console:
    """Return the console for people: standard error, plain where that is no terminal."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def print_json(document: Any, *, indent: int | None = 2) -> None:
    """Print one JSON document to standard output; `indent=None` makes it a single line."""
    print(json.dumps(document, indent=indent, ensure_ascii=False, allow_nan=False))
    sys.stdout.flush()


def somebody_reads() -> bool:
    """Whether anybody still reads standard output, as far as writing to it has told."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return not getattr(raw, "lost", False)
