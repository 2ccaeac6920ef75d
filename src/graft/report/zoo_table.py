"""The zoo in the terminal: all models, a short list, or one backbone in full."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graft.report.text import ABSENT, count, finite, say, table, text, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

WIDE = 110
"""Columns from which long names and the uses in words fit on one line."""
NAME = 31
"""Columns that a name gets where there are fewer."""


def print_zoo(entries: Sequence[dict[str, Any]], uses: Sequence[str], console: Console) -> None:
    """Print the table of models; a narrow one shows what they suit by initials.

    Args:
        entries: The entries of the zoo as `ZooEntry.to_dict` gives them.
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
        found: What `graft.zoo.suggest` returns.
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


def print_backbone(found: Mapping[str, Any], console: Console) -> None:
    """Print a backbone stage by stage, and what is known about it.

    Args:
        found: What `graft.describe(name).to_dict()` returns.
        console: Where to print.

    Example:
        >>> from rich.console import Console
        >>> stem = {"name": "stem", "modules": ["conv1"], "shape": [8, 4, 4], "parameters": 224,
        ...         "norms": {}}
        >>> preprocess = {"image_size": [8, 8], "resize": None, "crop": "center", "channels": 3,
        ...               "interpolation": "bilinear", "mean": [0.5], "std": [0.5]}
        >>> provenance = {"weights": None, "source": None, "licence": None, "top1": None}
        >>> print_backbone({"name": "mine:tiny", "width": 8, "stages": [stem], "parameters": 224,
        ...     "gflops": 0.01, "norms": {}, "grad_cam": {"path": "conv1", "shape": [8, 4, 4]},
        ...     "preprocess": preprocess, "provenance": provenance, "facts": None},
        ...     Console(width=80))  # doctest: +NORMALIZE_WHITESPACE
        <BLANKLINE>
        mine:tiny: 1 stage, 224 parameters, 8 features
        <BLANKLINE>
        stage  begins at     output  parameters  norm layers
        ────────────────────────────────────────────────────
        stem   conv1      8 × 4 × 4         224  –
        <BLANKLINE>
        norm layers    none
        Grad-CAM       conv1, 8 × 4 × 4
        compute        0.01 GFLOPs (multiply-adds) per image, classifier left out
        preprocessing  center crop to 8 × 8, bilinear
                       mean 0.5, std 0.5
    """
    from rich.table import Table

    size = f"{count(len(found['stages']), 'stage')}, {count(found['parameters'], 'parameter')}"
    console.print()
    say(console, (found["name"], "bold"), (f": {size}, {count(found['width'], 'feature')}", ""))
    console.print()
    console.print(_stages(found["stages"]))
    console.print()
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for name, value in _facts(found):
        grid.add_row(text(name), text(value))
    console.print(grid)


def _stages(stages: list[dict[str, Any]]) -> Table:
    grid = table()
    grid.add_column("stage", no_wrap=True)
    grid.add_column("begins at", overflow="fold")
    grid.add_column("output", justify="right", no_wrap=True)
    grid.add_column("parameters", justify="right", no_wrap=True)
    grid.add_column("norm layers")
    for stage in stages:
        grid.add_row(
            text(stage["name"], "bold"),
            text(stage["modules"][0]),
            text(_shape(stage["shape"])),
            text(count(stage["parameters"])),
            text(_kinds(stage["norms"]) or ABSENT, "dim"),
        )
    return grid


def _facts(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is known about a backbone, line by line; a name is given once."""
    preprocess, provenance = found["preprocess"], found["provenance"]
    facts = found["facts"] or {}
    grad_cam = found["grad_cam"]
    yield "norm layers", _kinds(found["norms"]) or "none"
    yield "Grad-CAM", f"{grad_cam['path']}, {_shape(grad_cam['shape'])}"
    gflops = short(found["gflops"])
    yield "compute", f"{gflops} GFLOPs (multiply-adds) per image, classifier left out"
    yield "preprocessing", f"{_view(preprocess)}, {preprocess['interpolation']}"
    yield "", f"mean {_numbers(preprocess['mean'])}, std {_numbers(preprocess['std'])}"
    if provenance["weights"]:
        yield "weights", str(provenance["weights"])
    if facts.get("parameters"):
        published = f"{count(facts['parameters'], 'parameter')}, {short(facts['gflops'])} GFLOPs"
        yield "as published", f"{published}, classifier included"
    top1 = facts.get("top1") or provenance["top1"]
    if top1:
        yield "top-1", f"{top1:.2f} % on ImageNet-1K, as published"
    if facts.get("suits"):
        yield "suits", ", ".join(facts["suits"])
    licence = facts.get("licence") or provenance["licence"]
    if licence:
        yield "licence", str(licence)
    if provenance["source"]:
        size = f", {facts['file_mb']:,.0f} MB" if facts.get("file_mb") else ""
        yield "source", f"{provenance['source']}{size}"


def _view(preprocess: Mapping[str, Any]) -> str:
    """Say what an image goes through on its way to the network's size."""
    size, resize = _shape(preprocess["image_size"]), preprocess["resize"]
    if preprocess["crop"] == "letterbox":
        return f"letterboxed to {size}"
    if preprocess["crop"] == "squash":
        return f"squashed to {resize}, center crop to {size}" if resize else f"squashed to {size}"
    return (f"shorter side to {resize}, " if resize else "") + f"center crop to {size}"


def _shape(shape: list[int]) -> str:
    return " × ".join(map(str, shape))


def _numbers(values: list[float]) -> str:
    return " ".join(f"{value:.3g}" for value in values)


def _kinds(norms: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in norms.items())
