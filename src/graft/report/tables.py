"""Plans, the cache and written samples as tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from graft.report.text import ABSENT, count, finite, percent, rate, say, table, text

if TYPE_CHECKING:
    from rich.console import Console

FROZEN = "frozen"
SOLVED = "solved"


@dataclass(frozen=True)
class PlanRow:
    """One line of the grid: a part of the network, or a fact about each phase.

    Args:
        name: "head", a stage, or the name of the fact.
        cells: One per phase. For a part: its learning rate, "solved" or "frozen".
        is_part: Whether the line is a part of the network.
    """

    name: str
    cells: tuple[str, ...]
    is_part: bool = False


@dataclass(frozen=True)
class PlanTable:
    """The phases' names, and the rows below them."""

    phases: tuple[str, ...]
    rows: tuple[PlanRow, ...]


def plan_table(plan: dict[str, Any]) -> PlanTable:
    """Return the grid of a plan.

    Args:
        plan: The plan document.

    Example:
        >>> phase = {"name": "head", "method": "gradient", "epochs": 5, "trains": ["head"],
        ...          "frozen": ["stem", "stage1"], "learning_rates": {"head": 0.001},
        ...          "trainable_parameters": 2562}
        >>> table = plan_table({"stages": ["stem", "stage1"], "phases": [phase]})
        >>> for row in table.rows:
        ...     print(row.name, row.cells)
        method ('gradient',)
        epochs ('5',)
        head ('1e-3',)
        stage1 ('frozen',)
        stem ('frozen',)
        trainable parameters ('2,562',)
    """
    phases: list[dict[str, Any]] = plan.get("phases") or []
    parts = ["head", *reversed(plan.get("stages") or [])]
    rows = [
        PlanRow("method", tuple(str(phase.get("method", ABSENT)) for phase in phases)),
        PlanRow("epochs", tuple(_epochs(phase) for phase in phases)),
        *(PlanRow(part, tuple(_cell(phase, part) for phase in phases), True) for part in parts),
        PlanRow(
            "trainable parameters",
            tuple(count(phase.get("trainable_parameters")) for phase in phases),
        ),
    ]
    if whole := finite(plan.get("parameters")):
        shares = (finite(phase.get("trainable_parameters")) or 0.0 for phase in phases)
        cells = tuple(percent(share / whole) for share in shares)
        rows.append(PlanRow(f"of {count(whole)}", cells))
    for name in ("optimizer", "schedule"):
        if any(name in (phase.get("settings") or {}) for phase in phases):
            own = ((phase.get("settings") or {}).get(name, "the run's") for phase in phases)
            rows.insert(2, PlanRow(name, tuple(map(str, own))))
    return PlanTable(tuple(str(phase.get("name", "")) for phase in phases), tuple(rows))


def _cell(phase: dict[str, Any], part: str) -> str:
    """Return what happens to a part of the network in a phase."""
    learning_rate = (phase.get("learning_rates") or {}).get(part)
    trains = part in (phase.get("trains") or ()) or part == "head"
    if part in (phase.get("frozen") or ()) or not (trains or learning_rate):
        return FROZEN
    if phase.get("method") == "solve":
        return SOLVED
    return rate(learning_rate)


def _epochs(phase: dict[str, Any]) -> str:
    """Return how long a phase lasts."""
    if phase.get("method") == "solve":
        return ABSENT
    plateau = (phase.get("until") or {}).get("plateau")
    if plateau is None:
        return count(phase.get("epochs"))
    patience = f"plateau of {plateau.get('patience')}"
    return f"up to {phase['epochs']}, {patience}" if phase.get("epochs") else patience


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
        >>> print_cache({"cache": "c", "entries": [entry], "bytes": 2032640, "limit": 2**34},
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
    entries = found["entries"]
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
    size = f", {amount(found['bytes'])} of at most {amount(found['limit'])}" if number else ""
    say(console, (holds, "bold"), (f"{size}, in {found['cache']}", "dim"))


def print_cleared(found: dict[str, Any], console: Console) -> None:
    """Print what was freed.

    Args:
        found: What `graft.workflows.cache.clear_cache` returns.
        console: Where to print.

    Example:
        >>> from rich.console import Console
        >>> print_cleared({"cache": "c", "entries": 2, "bytes": 3 << 30}, Console(width=80))
        Freed 3.0 GiB: 2 entries, in c
        >>> print_cleared({"cache": "c", "entries": 0, "bytes": 0}, Console(width=80))
        Nothing to clear, in c
    """
    number = found["entries"]
    entries = "1 entry" if number == 1 else f"{count(number)} entries"
    freed = f"Freed {amount(found['bytes'])}: {entries}" if found["bytes"] else "Nothing to clear"
    say(console, (freed, "bold"), (f", in {found['cache']}", "dim"))


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
    """Return what else distinguishes entries, as far as it fits."""
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


def print_samples(written: dict[str, Any], console: Console) -> None:
    """Print where the images are, how many, whose they are, and what to type next.

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
