"""What everything that prints to a terminal shares: tables, and words that are never markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graft.report.words import visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text


def table() -> Table:
    """Return an empty table in the style of the house: a line below the header, no frame."""
    from rich import box
    from rich.table import Table

    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="dim",
    )


def text(words: object, style: str = "") -> Text:
    """Return words as they are: nothing in them is markup, and nothing moves the cursor.

    Example:
        >>> text("[bold]ants").plain
        '[bold]ants'
    """
    from rich.text import Text

    return Text(visible(words), style=style)


def say(console: Console, *parts: tuple[object, str]) -> None:
    """Print one paragraph of styled words, wrapped at the width of the console."""
    from rich.text import Text

    console.print(Text.assemble(*(text(words, style) for words, style in parts)))
