"""The zoo in the terminal: the table of models, and the short list for someone's images."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from graft.report.terminal import say, table, text
from graft.report.words import ABSENT, count, finite, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

WIDE = 110
"""Columns from which long names and the uses in words fit on one line."""
NAME = 31
"""Columns that a name gets where there are fewer."""


def print_zoo(entries: Sequence[dict[str, Any]], uses: Sequence[str], console: Console) -> None:
    """Print the table of models; a narrow one shows what they suit by initials.

    Args:
        entries: The entries of the zoo as `Entry.to_dict` gives them.
        uses: Every use that there is, in the order to show them.
        console: Where to print.

    Example:
        >>> from rich.console import Console
        >>> resnet = {"name": "torchvision:resnet18", "parameters": 11689512, "image_size": 224,
        ...           "gflops": 1.814, "top1": 69.758, "licence": "BSD-3-Clause",
        ...           "suits": ["prototype"]}
        >>> print_zoo([resnet], ["prototype", "edge"], Console(width=80))
        ... # doctest: +NORMALIZE_WHITESPACE
        <BLANKLINE>
        model     params   px  GFLOPs  top-1  licence       suits
        ─────────────────────────────────────────────────────────
        resnet18   11.7M  224    1.81   69.8  BSD-3-Clause  P·
        <BLANKLINE>
        1 model. GFLOPs are multiply-adds; top-1 is as published on ImageNet-1K.
        Suits: P prototype, E edge.
    """
    wide = console.width >= WIDE
    console.print()
    if not entries:
        say(console, ("No model fits these conditions.", "bold"))
        return
    grid = table()
    grid.add_column("model", overflow="fold")
    for name in ("params", "px", "GFLOPs", "top-1"):
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("licence", no_wrap=True)
    grid.add_column("suits", no_wrap=True)
    for entry in entries:
        grid.add_row(
            _name(entry["name"], wide),
            text(millions(entry["parameters"])),
            text(entry["image_size"]),
            text(short(entry["gflops"])),
            text(short(entry["top1"]), "bold green"),
            text(entry["licence"] or ABSENT),
            text(", ".join(entry["suits"]) if wide else _initials(entry["suits"], uses)),
        )
    console.print(grid)
    console.print()
    unknown = any(entry["top1"] is None for entry in entries)
    says = f"; {ABSENT}: the provider's package carries none." if unknown else "."
    facts = f". GFLOPs are multiply-adds; top-1 is as published on ImageNet-1K{says}"
    say(console, (count(len(entries), "model"), "bold"), (facts, "dim"))
    if not wide:
        legend = ", ".join(f"{use[0].upper()} {use}" for use in uses)
        say(console, (f"Suits: {legend}.", "dim"))


def print_suggestions(found: dict[str, Any], console: Console) -> None:
    """Print the short list for someone's images, with the reasons.

    Args:
        found: What `graft.workflows.suggest` returns.
        console: Where to print.

    Example:
        >>> from rich.console import Console
        >>> machine = {"cores": 8, "memory": 2**34, "accelerator": None, "speed": 2e11}
        >>> item = {"role": "to begin with", "strategy": "probe", "reasons": ["Top-1 69.8 %."],
        ...         "entry": {"name": "torchvision:resnet18"}}
        >>> print_suggestions({"data": "photos", "images": 244, "classes": 2, "machine": machine,
        ...     "why": "Few images.", "notes": [], "suggestions": [item]}, Console(width=80))
        ... # doctest: +NORMALIZE_WHITESPACE
        <BLANKLINE>
        244 training images, 2 classes; 8 cores, 16 GiB, 200 billion multiply-adds a
        second measured
        Few images.
        <BLANKLINE>
        To begin with: resnet18
          Top-1 69.8 %.
          graft fit photos --backbone resnet18 --strategy probe
    """
    from rich.padding import Padding

    machine = found["machine"]
    where = machine["accelerator"] or count(machine["cores"], "core")
    memory = f"{machine['memory'] / 1024**3:.0f} GiB"
    speed = f"{machine['speed'] / 1e9:,.0f} billion multiply-adds a second"
    console.print()
    say(
        console,
        (f"{count(found['images'], 'training image')}, {found['classes']} classes", "bold"),
        (f"; {where}, {memory}, {speed} measured", "dim"),
    )
    say(console, (found["why"], ""))
    for note in found["notes"]:
        say(console, ("Note: ", "bold yellow"), (note, ""))
    for item in found["suggestions"]:
        name = item["entry"]["name"].removeprefix("torchvision:")
        console.print()
        say(console, (f"{item['role'].capitalize()}: ", ""), (name, "bold green"))
        for reason in item["reasons"]:
            console.print(Padding(text(reason), (0, 0, 0, 2), expand=False))
        fit = f"graft fit {shlex.quote(found['data'])} --backbone {name} --strategy"
        console.print(text(f"  {fit} {item['strategy']}", "cyan"), soft_wrap=True)


def millions(number: Any) -> str:
    """Return a number of parameters in millions.

    Example:
        >>> millions(11_689_512), millions(633_470_440), millions(1_235_496), millions(52_000)
        ('11.7M', '633M', '1.24M', '0.05M')
    """
    return f"{short(number / 1e6)}M"


def short(value: Any) -> str:
    """Return a measure in three digits, and more only before the point.

    Example:
        >>> short(1016.7), short(69.758), short(0.301), short(0.001), short(None)
        ('1,017', '69.8', '0.30', '<0.01', '–')
    """
    number = finite(value)
    if number is None:
        return ABSENT
    if 0 < number < 0.01:
        return "<0.01"
    return f"{number:,.{0 if number >= 100 else 1 if number >= 10 else 2}f}"


def _name(name: str, wide: bool) -> Text:
    """Return a name as one types it, its weights on a line of their own where it is too long."""
    name = name.removeprefix("torchvision:")
    stem, dot, weights = name.partition(".")
    if wide or not dot or len(name) <= NAME:
        return text(name, "bold")
    return text(stem, "bold").append(f"\n  .{visible(weights)}")


def _initials(suits: Sequence[str], uses: Sequence[str]) -> str:
    return "".join(use[0].upper() if use in suits else "·" for use in uses)
