"""The run as one page that opens offline, today and in ten years."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graft.files import atomic_write
from graft.report import text as words
from graft.report.charts import ChartError, Spec, draw_svg
from graft.report.classes import (
    Mistake,
    class_rows,
    confident_mistakes,
    confusion_table,
    most_confused,
)
from graft.report.curves import best_epoch, curve_chart, every, rate_chart
from graft.report.images import thumbnail
from graft.report.numbers import (
    Point,
    label_rows,
    measures,
    read_points,
    residual_facts,
    scatter_chart,
    worst,
)
from graft.report.record import Record, facts, read_record
from graft.report.summary import best_so_far, candidate_rows, headline
from graft.report.tables import plan_table
from graft.run import score_key

_EPOCHS_LISTED = 200
_CLASSES_LISTED = 500


@dataclass(frozen=True)
class Figure:
    """A chart: its title, what draws it, and the same in words for who cannot see it."""

    title: str
    spec: Spec
    alt: str


@dataclass(frozen=True)
class Tile:
    """A mistake with its image, if that could still be read."""

    mistake: Mistake
    image: str | None


def write_report(run_folder: str | Path) -> Path:
    """Write `report.html` into a run folder: one file, nothing to load from anywhere.

    Reads only `run.json`, `metrics.jsonl`, `steps.jsonl` and `predictions.csv`, and the images of
    the most confident mistakes. A run that is still going, failed or was interrupted gets the
    report of what there is.

    Args:
        run_folder: What `graft fit --out` wrote.

    Returns:
        The path of the report.

    Raises:
        DataError: The folder is no run folder, or `run.json` cannot be read.
        ResourceError: The report cannot be written there.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "run.json").write_text('{"format": 1, "state": "running"}')
        >>> write_report(folder).name
        'report.html'
    """
    record = read_record(run_folder)
    page = render(record)
    target = record.folder / "report.html"
    with atomic_write(target) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")
    return target


def render(record: Record) -> str:
    """Return the page of a run as HTML.

    Args:
        record: What the run folder holds.

    Example:
        >>> "interrupted" in render(Record(Path("R"), {"state": "interrupted"}))
        True
    """
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("graft.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.globals["words"] = words
    return environment.get_template("report.html").render(_page(record))


def _printable(value: Any) -> Any:
    """Show what does not print; leave markup (our own SVG) alone."""
    return words.visible(value) if type(value) is str else value


def _page(record: Record) -> dict[str, Any]:
    result, metrics = record.result, record.metrics
    classes = class_rows(metrics)
    metric = metrics.get("metric") or next(
        (epoch["metric"] for epoch in record.epochs if "metric" in epoch), "accuracy"
    )
    points = read_points(record.folder / "predictions.csv", record.split)
    figures = list(_curves(record, metric))
    drawn, without_charts = _drawn([*figures, *_scatter(points)])
    curves, scatter = drawn[: len(figures)], drawn[len(figures) :]
    return {
        "name": record.folder.resolve().name,
        "run": record.run,
        "result": result,
        "headline": headline(result) or best_so_far(record.epochs),
        "candidates": candidate_rows(result),
        "on": "test" if record.split == "test" else "validation",
        "curves": curves,
        "without_charts": without_charts,
        "epochs": every(record.epochs, _EPOCHS_LISTED),
        "best": best_epoch(record.epochs),
        "plan": plan_table(result["plan"]) if result.get("plan") else None,
        "metric": metric,
        "score_key": score_key(metric),
        "metrics": metrics,
        "measures": measures(metrics),
        "labels": label_rows(metrics)[:_CLASSES_LISTED],
        "scatter": scatter,
        "residuals": residual_facts(points),
        "worst": worst(points),
        "confusion": confusion_table(metrics),
        "pairs": most_confused(metrics),
        "classes": classes[:_CLASSES_LISTED],
        "more_classes": len(classes[_CLASSES_LISTED:]),
        "tiles": _tiles(record),
        "facts": facts(record),
    }


def _scatter(points: Sequence[Point]) -> Iterator[Figure]:
    """Yield the chart of predicted against true numbers, if there are any."""
    if points:
        alt = f"Predicted against true values of {words.count(len(points), 'image')}."
        yield Figure("Predicted against true values", scatter_chart(points), alt)


def _curves(record: Record, metric: str) -> Iterator[Figure]:
    """Yield the training charts, none for a run without a single epoch of training."""
    epochs, steps = record.epochs, record.steps
    if len(epochs) < 2 and not steps:
        return
    name = "Accuracy" if metric == "accuracy" else metric
    for title, measure, behind in (("Loss", "loss", steps), (name, score_key(metric), [])):
        alt = f"{title} per epoch. {_course(epochs, measure)} The table below has every epoch."
        yield Figure(title, curve_chart(epochs, measure, behind), alt)
    stages = (record.result.get("plan") or {}).get("stages") or _stages_seen(steps or epochs)
    if any(row.get("lr") for row in steps or epochs):
        alt = "Learning rate of each stage over the optimizer steps, on a logarithmic scale."
        yield Figure("Learning rate per stage", rate_chart(epochs, steps, stages), alt)


def _drawn(figures: list[Figure]) -> tuple[list[tuple[Figure, str | None]], str | None]:
    """Return each figure with its drawing, and why there are no drawings if there are none."""
    from markupsafe import Markup

    if not figures:
        return [], None
    try:
        drawings = draw_svg([figure.spec for figure in figures])
    except ChartError as error:
        return [(figure, None) for figure in figures], str(error)
    return [(f, Markup(svg)) for f, svg in zip(figures, drawings, strict=True)], None


def _course(epochs: list[dict[str, Any]], measure: str) -> str:
    """Return how a validation measure went, in a sentence."""
    values = [
        value
        for epoch in epochs
        if (value := words.finite(epoch.get(f"val_{measure}"))) is not None
    ]
    if not values:
        return ""
    shown = words.percent if measure == "accuracy" else words.decimal
    best = min(values) if measure == "loss" else max(values)
    ends = f"from {shown(values[0])} to {shown(values[-1])}"
    return f"On validation it went {ends}, at best {shown(best)}."


def _stages_seen(rows: list[dict[str, Any]]) -> list[str]:
    """Return the stages that have a learning rate anywhere, for a run that left no plan."""
    names = (name for row in rows for name in row.get("lr") or {} if name != "head")
    return list(dict.fromkeys(names))


def _tiles(record: Record) -> list[Tile]:
    mistakes = confident_mistakes(record.folder / "predictions.csv", record.split)
    return [Tile(mistake, thumbnail(mistake.path)) for mistake in mistakes]
