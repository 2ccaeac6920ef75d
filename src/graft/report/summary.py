"""Results, plans and metrics in the terminal, and the one number of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graft.report.classes import class_rows, most_confused
from graft.report.numbers import label_rows, measures
from graft.report.record import image_counts, time_spent
from graft.report.tables import FROZEN, PlanRow, PlanTable, plan_table
from graft.report.text import (
    between,
    count,
    decimal,
    percent,
    score_text,
    span,
    trainable,
    visible,
)
from graft.run import score_key

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text


@dataclass(frozen=True)
class Headline:
    """A score with its interval and the words that belong to it.

    Args:
        score: The accuracy, a share from 0 to 1, or the score of another task.
        interval: Its 95% interval, if one is known.
        images: How many images it was measured on, if known.
        on: "test", "validation", or what else the images are called.
        caveat: What it was selected on, and what to expect of it.
        distinct: How many distinct images there are among them, if known: what the interval counts.
        metric: Name of the score.
    """

    score: float
    interval: Sequence[float] | None
    images: int | None
    on: str
    caveat: str
    distinct: int | None = None
    metric: str = "accuracy"

    @property
    def figure(self) -> str:
        """The number itself, with its name where it is no accuracy."""
        return score_text(self.metric, self.score)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The interval where it lies between 0 and 1, as a scale can show it."""
        if self.interval is None or not 0 <= self.interval[0] <= self.interval[1] <= 1:
            return None
        return self.interval[0], self.interval[1]

    @property
    def measured(self) -> str:
        """The number of images and the interval, in words.

        Example:
            >>> Headline(0.9, (0.8, 0.95), 50, "test", "").measured
            'of 50 test images right, 95% interval 80.0 to 95.0%'
            >>> Headline(1.0, (0.676, 1.0), 80, "test", "", 8).measured
            'of 80 test images (8 distinct) right, 95% interval of the distinct 67.6 to 100.0%'
            >>> Headline(0.81, (0.75, 0.86), 50, "test", "", metric="R2").measured
            'on 50 test images, 95% interval 0.750 to 0.860'
        """
        kind = f"{self.on} image".lstrip()
        images = f"{kind}s" if self.images is None else count(self.images, kind)
        of_which = ""
        if self.distinct is not None and self.distinct != self.images:
            images, of_which = f"{images} ({count(self.distinct)} distinct)", " of the distinct"
        right = self.metric == "accuracy"
        interval = ""
        if self.interval:
            ends = " to ".join(map(decimal, self.interval))
            interval = f", 95% interval{of_which} {between(self.interval) if right else ends}"
        return f"of {images} right{interval}" if right else f"on {images}{interval}"


def headline(result: dict[str, Any]) -> Headline | None:
    """Return the number to lead with: the test score if there is one, else the validation's.

    Args:
        result: The fit document.

    Returns:
        The headline, or None if nothing was measured.

    Example:
        >>> head = headline({"val_accuracy": 0.9, "val_images": 50, "selected_on": "validation"})
        >>> head.on, head.caveat.split(":")[0]
        ('validation', 'Selected on validation')
    """
    metric = result.get("metric", "accuracy")
    key = score_key(metric)
    if result.get(f"test_{key}") is not None:
        caveat = "Measured once, on images that took no part in training or in choosing the model."
        if result.get(f"val_{key}") is not None:
            interval = result.get("val_interval")
            chose = ", which chose it," if result.get("selected_on") else ""
            caveat += (
                f" The validation images{chose} gave "
                f"{score_text(metric, result[f'val_{key}'])}"
                f" ({between(interval) if key == 'accuracy' else span(interval)})."
            )
        excluded = result.get("test_excluded") or 0
        if excluded:
            caveat += (
                f" Left out: {count(excluded)} of {count(result.get('test_images'), 'test image')},"
                f" which are also in training or validation; with them it would be"
                f" {score_text(metric, result['test_with_leaks'][key])}."
            )
        return Headline(
            result[f"test_{key}"],
            result.get("test_interval"),
            result["test_images"] - excluded if "test_images" in result else None,
            "test",
            caveat,
            result.get("test_distinct_images"),
            metric,
        )
    if result.get(f"val_{key}") is None:
        return None
    selected_on = result.get("selected_on")
    split = "No test split"
    if result.get("test_images") and result.get("test_excluded") == result["test_images"]:
        split = (
            f"All {count(result['test_images'], 'test image')} are also in training or validation,"
            " so they say nothing about new ones"
        )
    caveat = f"{split}: nothing was selected on these images."
    if selected_on:
        caveat = (
            f"Selected on {selected_on}: these images also chose the model, so expect a little"
            " less on new ones. A test split would give a number without that bias."
        )
        if split != "No test split":
            caveat = f"{split}. {caveat}"
    elif result.get("tuned_on"):
        caveat = (
            f"{split}: this score chose nothing, but the decision thresholds were set on"
            f" these {result['tuned_on']} images, so expect a little less F1 on new ones."
        )
    if result.get("val_leaked"):
        caveat += _without_leaks(result, metric)
    return Headline(
        result[f"val_{key}"],
        result.get("val_interval"),
        result.get("val_images"),
        "validation",
        caveat,
        result.get("val_distinct_images"),
        metric,
    )


def _without_leaks(result: dict[str, Any], metric: str) -> str:
    """Return the sentence about validation images that are also in training."""
    leaked = f" {count(result['val_leaked'])} of them are also in training"
    without = result.get("val_without_leaks")
    if not without:
        return f"{leaked}: this number says nothing about new images."
    score = score_text(metric, without[score_key(metric)])
    return f"{leaked}; without these it is {score} on {count(without['images'], 'image')}."


def best_so_far(epochs: list[dict[str, Any]]) -> Headline | None:
    """Return the best validation score of a run that has no result, or None.

    Args:
        epochs: The lines of `metrics.jsonl`.

    Example:
        >>> epochs = [{"epoch": 1, "val_accuracy": 0.7}, {"epoch": 2, "val_accuracy": 0.6}]
        >>> best_so_far(epochs).caveat
        'Best so far, in epoch 1 of 2. The run has not reached its end, so this is no result.'
    """
    metric = epochs[-1].get("metric", "accuracy") if epochs else "accuracy"
    key = f"val_{score_key(metric)}"
    measured = [epoch for epoch in epochs if epoch.get(key) is not None]
    if not measured:
        return None
    best = max(measured, key=lambda epoch: float(epoch[key]))
    caveat = (
        f"Best so far, in epoch {best.get('epoch')} of {epochs[-1].get('epoch')}."
        " The run has not reached its end, so this is no result."
    )
    return Headline(best[key], None, None, "validation", caveat, metric=metric)


CLASSES_LISTED = 20
_VERDICTS = {"good fit": "bold green", "overfitting": "bold yellow", "underfitting": "bold yellow"}


def print_summary(result: dict[str, Any], metrics: dict[str, Any] | None, console: Console) -> None:
    """Print what became of a run: the number, how far to trust it, the diagnosis, the classes.

    Args:
        result: The fit document.
        metrics: The metrics of the test images if there are any, else of the validation images.
        console: Where to print.

    Example:
        >>> from rich.console import Console
        >>> print_summary({"val_accuracy": 0.9477, "val_interval": [0.9, 0.973], "val_images": 153,
        ...                "selected_on": None}, None, Console(width=80))
        <BLANKLINE>
        94.8% of 153 validation images right, 95% interval 90.0 to 97.3%
        No test split: nothing was selected on these images.
    """
    head = headline(result)
    if head is not None:
        _print_headline(head, console)
    _print_candidates(result, console)
    diagnosis = result.get("diagnosis") or {}
    if diagnosis:
        verdict = str(diagnosis.get("verdict", ""))
        console.print()
        style = _VERDICTS.get(verdict, "bold")
        _say(
            console, (verdict.capitalize(), style), (". ", ""), (diagnosis.get("evidence", ""), "")
        )
        if diagnosis.get("next"):
            _say(console, ("Next: ", "bold"), (diagnosis["next"], ""))
    for warning in result.get("warnings") or ():
        _say(console, ("Warning: ", "bold yellow"), (warning, ""))
    if metrics:
        if metrics.get("metric", "accuracy") != "accuracy":
            _print_measures(metrics, console)
        _print_classes(metrics, console)
        _print_labels(metrics, console)
    closing = list(_closing(result))
    if closing:
        console.print()
    for name, value in closing:
        _say(console, (f"{name:<8}", "dim"), (value, ""))


def candidate_rows(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return what a run compared on validation: name, score, and "kept" or nothing.

    Args:
        result: The fit document.

    Returns:
        A row each; none where there was nothing to compare.

    Example:
        >>> rows = [{"name": "solved head", "epoch": 0, "val_accuracy": 0.817},
        ...         {"name": "fine-tuned", "epoch": 1, "val_accuracy": 0.627}]
        >>> candidate_rows({"candidates": rows, "kept": "solved head"})
        [('solved head', '81.7%', 'kept'), ('fine-tuned, epoch 1', '62.7%', '')]
    """
    metric, rows = result.get("metric", "accuracy"), result.get("candidates") or []
    if len(rows) < 2:
        return []
    return [
        (
            row["name"] if row["epoch"] == 0 else f"{row['name']}, epoch {row['epoch']}",
            score_text(metric, row.get(f"val_{score_key(metric)}")),
            "kept" if row["name"] == result.get("kept") else "",
        )
        for row in rows
    ]


def print_metrics(metrics: dict[str, Any], console: Console) -> None:
    """Print how good a model is on some images: score, loss, each class or label, confusions.

    Args:
        metrics: The metrics document.
        console: Where to print.

    Example:
        >>> from rich.console import Console
        >>> print_metrics({"accuracy": 0.5, "interval": [0.1, 0.9], "images": 4, "loss": 0.7,
        ...                "macro_f1": 0.5}, Console(width=80))
        <BLANKLINE>
        50.0% of 4 images right, 95% interval 10.0 to 90.0%
        Loss 0.700, macro F1 0.500
    """
    metric = metrics.get("metric", "accuracy")
    if metrics[metric] is not None:
        head = Headline(
            metrics[metric],
            metrics.get("interval"),
            metrics.get("images"),
            "",
            "",
            metrics.get("distinct_images"),
            metric,
        )
        _print_headline(head, console)
    _print_measures(metrics, console)
    _print_classes(metrics, console)
    _print_labels(metrics, console)


def print_plan(plan: dict[str, Any], console: Console) -> None:
    """Print a plan: phases across, the network downwards, a learning rate wherever it trains.

    Phases that do not fit beside each other continue in a second table.

    Args:
        plan: The plan document.
        console: Where to print.

    Example:
        >>> from rich.console import Console
        >>> phase = {"name": "warm-up", "method": "gradient", "epochs": 5, "trains": ["head"],
        ...          "frozen": ["stem"], "learning_rates": {"head": 0.001},
        ...          "trainable_parameters": 2562}
        >>> plan = {"strategy": "two-phase", "batch_norm": "eval", "stages": ["stem"],
        ...         "phases": [phase]}
        >>> print_plan(plan, Console(width=80))  # doctest: +NORMALIZE_WHITESPACE
        <BLANKLINE>
        Plan: two-phase, 1 phase, BatchNorm eval
        <BLANKLINE>
                                 warm-up
        ─────────────────────────────────
         method                 gradient
         epochs                        5
         head                       1e-3
         stem                     frozen
         trainable parameters      2,562
    """
    table = plan_table(plan)
    console.print()
    facts = [str(plan.get("strategy", "")), count(len(table.phases), "phase")]
    if plan.get("batch_norm"):
        facts.append(f"BatchNorm {plan['batch_norm']}")
    _say(console, ("Plan: ", "bold"), (", ".join(facts), ""))
    for start, stop in _fitting(table, console.width):
        console.print()
        console.print(_plan_grid(table, start, stop))
    if plan.get("parameters"):
        most = max(phase["trainable_parameters"] for phase in plan["phases"])
        console.print()
        _say(console, ("Trainable: ", "bold"), (trainable(most, plan["parameters"]), ""))


def _print_headline(head: Headline, console: Console) -> None:
    console.print()
    _say(console, (head.figure, "bold green"), (" ", ""), (head.measured, "bold"))
    if head.caveat:
        _say(console, (head.caveat, "dim"))


def _print_candidates(result: dict[str, Any], console: Console) -> None:
    """Print a line for each result that the run compared, and which of them is the model."""
    rows = candidate_rows(result)
    if rows:
        table = _table()
        for name in ("candidate", "validation", ""):
            table.add_column(name, justify="right" if name == "validation" else "left")
        for row in rows:
            table.add_row(*map(_text, row))
        console.print()
        console.print(table)


def _print_classes(metrics: dict[str, Any], console: Console) -> None:
    """Print a line per class, the least recognised first, and the pairs most confused."""
    rows = class_rows(metrics)
    if rows:
        table = _table()
        table.add_column("class", overflow="fold", max_width=28)
        for name in ("images", "recall", "95% interval", "precision", "F1"):
            table.add_column(name, justify="right", no_wrap=True)
        for row in rows[:CLASSES_LISTED]:
            table.add_row(
                _text(row.name),
                count(row.images),
                percent(row.recall if row.images else None),
                between(row.interval if row.images else None),
                percent(row.precision),
                decimal(row.f1),
            )
        console.print()
        console.print(table)
        if len(rows) > CLASSES_LISTED:
            _say(console, (f" and {len(rows) - CLASSES_LISTED} classes recognised better", "dim"))
    pairs = most_confused(metrics, 3)
    if pairs:
        console.print()
    for pair in pairs:
        times = f", {count(pair.times, 'time')} ({percent(pair.share)})"
        words = ((pair.actual, "bold"), (" taken for ", ""), (pair.predicted, "bold"), (times, ""))
        _say(console, ("Confused: ", "dim"), *words)


def _print_measures(metrics: dict[str, Any], console: Console) -> None:
    """Print the numbers beside the score, and why there is no score if there is none."""
    if metrics.get("undefined"):
        _say(console, (metrics["undefined"], "bold"))
    _say(console, (measures(metrics), "dim"))


def _print_labels(metrics: dict[str, Any], console: Console) -> None:
    """Print a line per label, the least recognised first."""
    rows = label_rows(metrics)
    if not rows:
        return
    table = _table()
    table.add_column("label", overflow="fold", max_width=28)
    for name in ("images", "AP", "F1", "precision", "recall", "threshold"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows[:CLASSES_LISTED]:
        shares = percent(row.precision), percent(row.recall)
        scores = decimal(row.average_precision), decimal(row.f1), *shares, decimal(row.threshold)
        table.add_row(_text(row.name), count(row.images), *scores)
    console.print()
    console.print(table)
    if len(rows) > CLASSES_LISTED:
        _say(console, (f" and {len(rows) - CLASSES_LISTED} labels recognised better", "dim"))


def _closing(result: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the facts that a summary ends with."""
    if result.get("backbone"):
        yield "model", f"{result['backbone']}, {result.get('strategy')}"
    if result.get("train_images"):
        yield "images", image_counts(result)
    if result.get("trainable_parameters") is not None:
        whole = (result.get("plan") or {}).get("parameters")
        of = f"; kept: {result['kept']}" if len(result.get("candidates") or ()) > 1 else ""
        yield "trained", trainable(result["trainable_parameters"], whole) + of
    if (spent := time_spent(result.get("seconds") or {})) is not None:
        yield "time", spent
    if result.get("run"):
        yield "run", str(result["run"])


def _fitting(table: PlanTable, width: int) -> Iterator[tuple[int, int]]:
    """Yield the spans of phases that fit beside each other into `width` columns."""
    room = width - max(len(row.name) for row in table.rows) - 3
    start, used = 0, 0
    for index, phase in enumerate(table.phases):
        cells = (phase, *(row.cells[index] for row in table.rows))
        needed = 3 + max(len(visible(cell)) for cell in cells)
        if index > start and used + needed > room:
            yield start, index
            start, used = index, 0
        used += needed
    yield start, len(table.phases)


def _plan_grid(table: PlanTable, start: int, stop: int) -> Table:
    grid = _table()
    grid.add_column("", no_wrap=True)
    for phase in table.phases[start:stop]:
        grid.add_column(_text(phase), justify="right", overflow="fold")
    for row in table.rows:
        cells = (_text(cell, _cell_style(row, cell)) for cell in row.cells[start:stop])
        grid.add_row(_text(row.name, "" if row.is_part else "dim"), *cells)
    return grid


def _cell_style(row: PlanRow, cell: str) -> str:
    if not row.is_part:
        return ""
    return "dim" if cell == FROZEN else "green"


def _table() -> Table:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, show_edge=False, header_style="dim")


def _text(words: object, style: str = "") -> Text:
    """Return words as they are: nothing in them is markup, and nothing moves the cursor."""
    from rich.text import Text

    return Text(visible(words), style=style)


def _say(console: Console, *parts: tuple[object, str]) -> None:
    """Print one paragraph of styled words, wrapped at the width of the console."""
    from rich.text import Text

    console.print(Text.assemble(*(_text(words, style) for words, style in parts)))
