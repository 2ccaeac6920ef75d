"""What `graft samples` wrote, in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graft.report.terminal import say
from graft.report.words import count

if TYPE_CHECKING:
    from rich.console import Console


def print_samples(written: dict[str, Any], console: Console) -> None:
    """Print where the pictures are, how many, whose they are, and what to type next.

    Args:
        written: What `graft.samples.write_samples` returns.
        console: Where to print.

    Example:
        >>> from rich.console import Console
        >>> print_samples({"samples": "digits", "path": "d", "classes": ["0", "1"],
        ...                "images": {"train": 4, "val": 2, "test": 0}, "source": "a library",
        ...                "licence": "CC BY 4.0"}, Console(width=80))
        d: 6 images of 2 classes (4 train, 2 val)
        source   a library
        licence  CC BY 4.0
        Next: graft fit d
    """
    images = {split: number for split, number in written["images"].items() if number}
    splits = ", ".join(f"{count(number)} {split}" for split, number in images.items())
    total = count(sum(images.values()), "image")
    say(
        console,
        (written["path"], "bold"),
        (f": {total} of {count(len(written['classes']))} classes ({splits})", ""),
    )
    for key in ("source", "licence"):
        say(console, (f"{key:<9}", "dim"), (written[key], ""))
    say(console, ("Next: ", "dim"), (f"graft fit {written['path']}", "bold"))
