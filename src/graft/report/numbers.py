"""Tasks other than classification on the page: a row per label; predicted against true numbers."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from graft.files import from_cell
from graft.report.charts import LINE, MUTED, VALIDATION
from graft.report.text import decimal, finite, quantity, span

POINTS = 2000
"""Most images in the scatter: more would only make the page heavy."""


@dataclass(frozen=True)
class LabelRow:
    """How well one label is recognised; None where no image has it, or none was given it."""

    name: str
    images: int
    average_precision: float | None
    f1: float | None
    precision: float | None
    recall: float | None
    threshold: float | None


def label_rows(metrics: dict[str, Any]) -> list[LabelRow]:
    """Return a row per label, the one with the least average precision first.

    Args:
        metrics: The metrics document.

    Example:
        >>> scores = {"average_precision": 0.9, "f1": 0.8, "support": 7, "threshold": 0.4}
        >>> label_rows({"per_label": {"winged": scores}})[0].images
        7
    """
    names = ("average_precision", "f1", "precision", "recall", "threshold")
    rows = [
        LabelRow(name, scores.get("support") or 0, *(finite(scores.get(key)) for key in names))
        for name, scores in (metrics.get("per_label") or {}).items()
    ]
    return sorted(rows, key=lambda row: (row.images == 0, row.average_precision or 0.0, row.name))


def measures(metrics: dict[str, Any]) -> str:
    """Return the numbers beside the score, in words.

    Example:
        >>> measures({"loss": 0.7, "macro_f1": 0.5})
        'Loss 0.700, macro F1 0.500'
        >>> measures({"MAE": 2.0, "MAE_interval": [1.5, 2.5], "RMSE": 3.0, "loss": 0.25})
        'MAE 2 (95% interval 1.5 to 2.5), RMSE 3, loss 0.250'
    """
    parts = []
    for name in ("MAE", "RMSE"):
        if name in metrics:
            interval = metrics.get(f"{name}_interval")
            within = f" (95% interval {span(interval)})" if interval else ""
            parts.append(f"{name} {quantity(metrics[name])}{within}")
    named = (("loss", "loss"), ("macro_f1", "macro F1"), ("micro_f1", "micro F1"))
    parts += [f"{name} {decimal(metrics[key])}" for key, name in named if key in metrics]
    line = ", ".join(parts)
    return line[:1].upper() + line[1:]


@dataclass(frozen=True)
class Point:
    """An image with the number that it has and the one that was predicted."""

    path: str
    value: float
    prediction: float

    @property
    def residual(self) -> float:
        """The predicted number minus the true one."""
        return self.prediction - self.value


def read_points(predictions: Path, split: str) -> list[Point]:
    """Return the numbers of a split; none if `predictions.csv` is absent or of another task.

    Args:
        predictions: The run's `predictions.csv`.
        split: "val" or "test".
    """
    if not predictions.is_file():
        return []
    with predictions.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = csv.DictReader(file)
        if not {"path", "split", "value", "prediction"} <= set(rows.fieldnames or ()):
            return []
        return [
            Point(from_cell(row["path"]), float(row["value"]), float(row["prediction"]))
            for row in rows
            if row["split"] == split and row["prediction"]  # a kill may cut the last line short
        ]


def residual_facts(points: Sequence[Point]) -> list[tuple[str, str]]:
    """Return what there is to know of the residuals, prediction minus truth, as names and numbers.

    Example:
        >>> residual_facts([Point("a.jpg", 1.0, 1.5), Point("b.jpg", 2.0, 1.5)])[0]
        ('mean residual', '0')
    """
    if not points:
        return []
    sizes = sorted(abs(point.residual) for point in points)
    return [
        ("mean residual", quantity(fmean(point.residual for point in points))),
        ("half of the images within", quantity(median(sizes))),
        ("nine of ten within", quantity(sizes[-(-len(sizes) * 9 // 10) - 1])),
        ("largest", quantity(sizes[-1])),
    ]


def worst(points: Sequence[Point], most: int = 8) -> list[Point]:
    """Return the images with the largest residuals, the largest first."""
    return sorted(points, key=lambda point: -abs(point.residual))[:most]


def scatter_chart(points: Sequence[Point]) -> dict[str, Any]:
    """Return the chart of predicted against true numbers; on the line both are equal.

    Returns:
        A Vega-Lite specification.

    Example:
        >>> scatter_chart([Point("a.jpg", 1.0, 1.5)])["layer"][1]["data"]["values"]
        [{'value': 1.0, 'prediction': 1.5}]
    """
    step = -(-len(points) // POINTS) or 1
    values = [{"value": point.value, "prediction": point.prediction} for point in points[::step]]
    numbers = [number for each in values for number in each.values()]
    ends = [{"value": end, "prediction": end} for end in (min(numbers), max(numbers))]

    def axis(field: str, title: str) -> dict[str, Any]:
        return {
            "field": field,
            "type": "quantitative",
            "title": title,
            "scale": {"zero": False, "nice": True},
            "axis": {"tickCount": 5, "format": "~g", "gridColor": LINE},
        }

    encoding = {"x": axis("value", "true"), "y": axis("prediction", "predicted")}
    return {
        "width": 300,
        "height": 300,
        "encoding": encoding,
        "layer": [
            {
                "data": {"values": ends},
                "mark": {"type": "line", "color": MUTED, "strokeDash": [4, 3], "strokeWidth": 1},
            },
            {
                "data": {"values": values},
                "mark": {"type": "point", "filled": True, "size": 28, "color": VALIDATION},
            },
        ],
    }
