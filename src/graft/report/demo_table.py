"""The demo in the terminal: what is compared, what came out, and what a model says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from graft.report.images import half_blocks
from graft.report.text import between, count, duration, percent, say, table, text

if TYPE_CHECKING:
    from rich.console import Console

_BESIDE = 4  # images in a row


def print_task(document: dict[str, Any], console: Console) -> None:
    """Print what will be compared: on which images, with which network, by which recipe.

    Args:
        document: What `graft.workflows.demo.demo` has found out so far.
        console: Where to print.
    """
    data, network, recipe = (document[key] for key in ("data", "backbone", "recipe"))
    images = data["images"]
    sides = " × ".join(map(str, network["image_size"]))
    say(console, (document["question"], "bold"))
    console.print()
    facts = [
        (
            "data",
            f"{data['words']}, {len(data['classes'])} classes: {images['train']} to learn from, "
            f"{images['val']} for validation, {images['test']} for the test ({data['claim']})",
        ),
        ("from", f"{data['source']}; {data['licence']}"),
        (
            "network",
            f"{network['name']}, {network['parameters'] / 1e6:.1f} million parameters, "
            f"{network['pretrained']}; images enlarged or reduced to {sides}",
        ),
        (
            "recipe",
            f"at most {recipe['epochs']} epochs, {recipe['augment']}, seed {recipe['seed']}; from "
            "scratch: the same network from random weights, the same epochs and augmentation, "
            f"{recipe['control_lr_scale']:g} times the learning rate",
        ),
    ]
    _print_facts(facts, console)
    for doubt in data["doubts"]:
        say(console, ("Warning: ", "bold yellow"), (doubt, ""))
    if not data["doubts"]:
        say(console, (f"{'check':<9}", "dim"), ("nothing to object to in these images", ""))
    console.print()


def print_demo(document: dict[str, Any], console: Console) -> None:
    """Print the table, what it says, a few predictions, and what to type next.

    Args:
        document: What `graft.workflows.demo.demo` returns.
        console: Where to print.
    """
    rows = document["strategies"]
    grid = table()
    grid.add_column("strategy", no_wrap=True)
    for name in ("test", "95% interval", "trained", "time", "points against scratch"):
        grid.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        is_best = row["strategy"] == document["best"]
        grid.add_row(
            text(row["strategy"], "bold green" if is_best else "bold"),
            text(percent(row["test_accuracy"])),
            text(between(row["test_interval"]), "dim"),
            text(count(row["trainable_parameters"])),
            text(duration(row["seconds"]["total"])),
            _against(row.get("against_scratch")),
        )
    console.print()
    console.print(grid)
    console.print()
    for words in verdict(document):
        say(console, (words, ""))
    _print_predictions(document, console)
    console.print()
    _print_facts(
        [
            ("written", f"{document['out']}: a run folder per strategy with its report.html"),
            ("chart", document["chart"] or "none, for the reason above"),
            ("time", duration(document["seconds"])),
        ],
        console,
    )
    console.print()
    say(console, ("Next, on your own folder of images: ", ""), (document["next"], "bold"))


def verdict(document: dict[str, Any]) -> Iterator[str]:
    """Yield what the table says, in sentences.

    Args:
        document: What `graft.workflows.demo.demo` returns.

    Example:
        >>> compared = {"difference": 0.1, "interval": [0.05, 0.15], "p_holm": 0.001,
        ...             "distinguishable": True}
        >>> rows = [{"strategy": "probe", "val_accuracy": 0.9, "test_images": 99,
        ...          "kept_solved_head": False, "against_scratch": compared}]
        >>> for sentence in verdict({"best": "probe", "strategies": rows}):
        ...     print(sentence[:63])
        Best on validation: probe. On the 99 test images it is 10.0 poi
    """
    rows = document["strategies"]
    best = next(row for row in rows if row["strategy"] == document["best"])
    opening = f"Best on validation: {best['strategy']}."
    if best.get("against_scratch") is None:
        yield f"{opening} Here pre-training does not help."
        others = [row for row in rows if row is not best]
        best = max(others, key=lambda row: float(row["val_accuracy"]))
        opening = f"Best of the others: {best['strategy']}."
    compared = best["against_scratch"]
    tested = f"{best['test_images']} test images"
    if compared["distinguishable"]:
        better = "better" if compared["difference"] > 0 else "worse"
        low, high = (100 * bound for bound in compared["interval"])
        yield (
            f"{opening} On the {tested} it is {100 * abs(compared['difference']):.1f} points "
            f"{better} than from scratch (95% interval of the difference {low:+.1f} to "
            f"{high:+.1f}, McNemar, Holm-corrected {_p(compared['p_holm'])})."
        )
    else:
        yield (
            f"{opening} Between it and from scratch there is no difference that these {tested} "
            f"can show (McNemar, Holm-corrected {_p(compared['p_holm'])})."
        )
    kept = [row["strategy"] for row in rows if row["kept_solved_head"]]
    if kept:
        yield (
            f"{', '.join(kept)} kept the solved head they began with, which is probe's: no epoch "
            "of fine-tuning was better on validation."
        )


def _against(compared: dict[str, Any] | None) -> Any:
    if compared is None:
        return text("–", "dim")
    if not compared["distinguishable"]:
        return text("no difference shown", "dim")
    low, high = (100 * bound for bound in compared["interval"])
    style = "green" if compared["difference"] > 0 else "red"
    return text(f"{100 * compared['difference']:+.1f} ({low:+.1f} to {high:+.1f})", style)


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _print_facts(facts: list[tuple[str, str]], console: Console) -> None:
    from rich.table import Table

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, words in facts:
        grid.add_row(text(f"{name:<7}", "dim"), text(words))
    console.print(grid)


def _print_predictions(document: dict[str, Any], console: Console) -> None:
    from rich.table import Table

    found = document["predictions"]
    console.print()
    say(console, (f"{document['best']} on test images, three of them drawn at random:", "dim"))
    if console.color_system and console.encoding.startswith("utf"):
        grid = Table.grid(padding=(0, 3, 0, 0))
        for start in range(0, len(found), _BESIDE):
            beside = found[start : start + _BESIDE]
            grid.add_row(*(half_blocks(one["path"]) for one in beside))
            grid.add_row(*(_caption(one) for one in beside))
        console.print(grid)
    else:
        for one in found:
            say(console, (one["path"], "dim"))
            console.print(_caption(one))


def _caption(one: dict[str, Any]) -> Any:
    from rich.text import Text

    caption = Text()
    caption.append_text(text(f"{one['prediction']} {percent(one['confidence'])} ", "bold"))
    caption.append_text(
        text("right", "green") if one["right"] else text(f"wrong: {one['label']}", "red")
    )
    if one["why"] != "drawn at random":
        caption.append(f"\n{one['why']}", "dim")
    return caption
