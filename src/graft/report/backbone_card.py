"""One backbone in the terminal: its stages, and the facts about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from graft.report.terminal import say, table, text
from graft.report.words import ABSENT, count
from graft.report.zoo_table import short

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


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
    """Say what a picture goes through on its way to the network's size."""
    size, resize = _shape(preprocess["image_size"]), preprocess["resize"]
    if preprocess["crop"] == "squash":
        return f"squashed to {resize}, center crop to {size}" if resize else f"squashed to {size}"
    return (f"shorter side to {resize}, " if resize else "") + f"center crop to {size}"


def _shape(shape: list[int]) -> str:
    return " × ".join(map(str, shape))


def _numbers(values: list[float]) -> str:
    return " ".join(f"{value:.3g}" for value in values)


def _kinds(norms: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in norms.items())
