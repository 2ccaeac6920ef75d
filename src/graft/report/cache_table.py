"""The cache in the terminal: what it holds, and what was freed."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from graft.report.terminal import say, table, text
from graft.report.words import ABSENT, count

if TYPE_CHECKING:
    from rich.console import Console

_AGES = (("min", 60.0), ("h", 3600.0), ("day", 86400.0))


def print_cache(found: dict[str, Any], console: Console, now: datetime | None = None) -> None:
    """Print what the cache holds.

    Args:
        found: What `graft.workflows.cache.list_cache` returns.
        console: Where to print.
        now: When it is; None asks the clock.

    Example:
        >>> from rich.console import Console
        >>> entry = {"key": "0" * 64, "rows": 397, "bytes": 2032640, "size": 1280, "dtype": "<f4",
        ...          "facts": {"backbone": "torchvision:mobilenet_v2", "cut": "head"},
        ...          "last_used": "2030-01-01T10:00:00+00:00"}
        >>> print_cache({"cache": "c", "entries": [entry], "bytes": 2032640, "limit": 2**34,
        ...              "engines": {"files": 0, "bytes": 0}, "notes": {"files": 0, "bytes": 0}},
        ...             Console(width=80), datetime(2030, 1, 4, 12, tzinfo=timezone.utc))
        ... # doctest: +NORMALIZE_WHITESPACE
        <BLANKLINE>
        backbone      cut   what   rows     size  last used
        ────────────────────────────────────────────────────
        mobilenet_v2  head  clean   397  1.9 MiB  3 days ago
        <BLANKLINE>
        1 entry, 1.9 MiB of at most 16 GiB, in c
    """
    now = now or datetime.now(timezone.utc)
    entries, engines, notes = found["entries"], found["engines"], found["notes"]
    console.print()
    if entries:
        grid = table()
        for name in ("backbone", "cut", "what"):
            grid.add_column(name, overflow="fold")
        for name in ("rows", "size", "last used"):
            grid.add_column(name, justify="right", no_wrap=True)
        for entry in entries:
            facts = entry["facts"]
            grid.add_row(
                text(str(facts.get("backbone", ABSENT)).removeprefix("torchvision:"), "bold"),
                text(facts.get("cut", ABSENT)),
                text(_what(facts)),
                text(count(entry["rows"])),
                text(amount(entry["bytes"])),
                text(_ago(entry["last_used"], now)),
            )
        console.print(grid)
        console.print()
    number = len(entries)
    holds = f"{number} {'entry' if number == 1 else 'entries'}" if number else "Nothing is kept"
    kept = amount(found["bytes"] - engines["bytes"] - notes["bytes"])
    size = f", {kept} of at most {amount(found['limit'])}" if number else ""
    say(console, (holds, "bold"), (f"{size}, in {found['cache']}", "dim"))
    if engines["files"]:
        exported = f"{count(engines['files'], 'file')} of exported engines"
        say(console, (exported, "bold"), (f", {amount(engines['bytes'])}", "dim"))
    if notes["files"]:
        noted = count(notes["files"], "note")
        say(console, (noted, "bold"), (f", {amount(notes['bytes'])}", "dim"))


def print_cleared(found: dict[str, Any], console: Console) -> None:
    """Print what was freed.

    Args:
        found: What `graft.workflows.cache.clear_cache` returns.
        console: Where to print.

    Example:
        >>> from rich.console import Console
        >>> print_cleared({"cache": "c", "entries": 2, "engines": 1, "notes": 0,
        ...                "bytes": 3 << 30}, Console(width=80))
        Freed 3.0 GiB: 2 entries and 1 file of exported engines, in c
        >>> print_cleared({"cache": "c", "entries": 0, "engines": 0, "notes": 0, "bytes": 0},
        ...               Console(width=80))
        Nothing to clear, in c
    """
    parts = []
    if found["entries"]:
        parts.append("1 entry" if found["entries"] == 1 else f"{count(found['entries'])} entries")
    if found["engines"]:
        parts.append(f"{count(found['engines'], 'file')} of exported engines")
    if found["notes"]:
        parts.append(count(found["notes"], "note"))
    freed = f"Freed {amount(found['bytes'])}: {' and '.join(parts)}" if parts else ""
    say(console, (freed or "Nothing to clear", "bold"), (f", in {found['cache']}", "dim"))


def amount(size: int) -> str:
    """Return a number of bytes in words.

    Example:
        >>> amount(0), amount(1000), amount(2032640), amount(20 << 30)
        ('0 B', '1000 B', '1.9 MiB', '20 GiB')
    """
    if size < 1024:
        return f"{size} B"
    value = size / 1024
    units = iter(("KiB", "MiB", "GiB", "TiB"))
    unit = next(units)
    while value >= 999.5 and (larger := next(units, None)):
        value, unit = value / 1024, larger
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:,.0f} {unit}"


def _what(facts: dict[str, Any]) -> str:
    """Return what else tells entries apart, as far as it fits."""
    preprocess = facts.get("preprocess")
    size = preprocess.get("image_size") if isinstance(preprocess, dict) else None
    pixels = "×".join(map(str, dict.fromkeys(size))) if isinstance(size, list | tuple) else ""
    if facts.get("augmentation") is None:
        view = "clean"
    else:
        view = f"augmented, seed {facts.get('seed', ABSENT)}"
    precision = str(facts.get("precision", "fp32"))
    return ", ".join(
        word
        for word in (f"{pixels} px" * bool(pixels), view, precision * (precision != "fp32"))
        if word
    )


def _ago(stamp: str, now: datetime) -> str:
    seconds = (now - datetime.fromisoformat(stamp)).total_seconds()
    words = "just now"
    for unit, length in _AGES:
        number = int(seconds // length)
        if number >= 1:
            words = f"{number} {unit}{'s' * (unit == 'day' and number > 1)} ago"
    return words
