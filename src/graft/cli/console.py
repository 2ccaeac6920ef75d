"""Where things are shown: progress and tables on standard error, JSON on standard output."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from graft.files import json_text
from graft.report.words import visible

if TYPE_CHECKING:
    from rich.console import Console


def err() -> Console:
    """Return the console for people: standard error, plain where that is no terminal."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def say(words: object) -> None:
    """Print a sentence to standard error; names in it are shown and never obeyed or read as markup.

    Every character that does not print is written as its escape: `graft.report.words.visible`.
    """
    from rich.text import Text

    err().print(Text(visible(words)), soft_wrap=True)


def print_json(document: Any, *, indent: int | None = 2) -> None:
    """Print one JSON document to standard output; `indent=None` makes it a single line."""
    print(json_text(document, indent=indent))
    sys.stdout.flush()


def somebody_reads() -> bool:
    """Whether anybody still reads standard output, as far as writing to it has told."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return not getattr(raw, "lost", False)
