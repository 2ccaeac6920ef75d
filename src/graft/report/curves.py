"""What happened during training, as charts over optimizer steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from graft.report.charts import LINE, MUTED, TRAINING, VALIDATION, depth_colours
from graft.report.text import finite, visible

Row = dict[str, Any]

_WIDTH, _HEIGHT = 245, 185
_AT_MOST = 240  # points per line: more than a chart this wide can show


def curve_chart(epochs: Sequence[Row], measure: str, steps: Sequence[Row] = ()) -> dict[str, Any]:
    """Return the chart of a measure on training and validation images.

    Args:
        epochs: The lines of `metrics.jsonl`.
        measure: "loss", "accuracy", or "score" of another task.
        steps: The lines of `steps.jsonl`; their losses are drawn faintly behind.

    Returns:
        A Vega-Lite specification.

    Example:
        >>> epoch = {"step": 10, "train_loss": 0.7, "val_loss": 0.6}
        >>> for point in curve_chart([epoch], "loss")["layer"][-1]["data"]["values"]:
        ...     print(point)
        {'step': 10, 'value': 0.7, 'on': 'training'}
        {'step': 10, 'value': 0.6, 'on': 'validation'}
    """
    points = [
        {"step": epoch.get("step"), "value": value, "on": on}
        for on, prefix in (("training", "train"), ("validation", "val"))
        for epoch in epochs
        if (value := finite(epoch.get(f"{prefix}_{measure}"))) is not None
    ]
    y = {
        "field": "value",
        "type": "quantitative",
        "title": None,
        "scale": {"zero": False, "nice": True},
        "axis": {"format": "~%" if measure == "accuracy" else "~g", "tickCount": 5},
    }
    shown = list(dict.fromkeys(point["on"] for point in points))
    colours = [TRAINING if on == "training" else VALIDATION for on in shown]
    dashes = [[4, 3] if on == "training" else [1, 0] for on in shown]
    line = {
        "data": {"values": points},
        "mark": {"type": "line", "strokeWidth": 2, "point": {"size": 30, "filled": True}},
        "encoding": {
            "x": _steps_axis(),
            "y": y,
            "color": {
                "field": "on",
                "scale": {"domain": shown, "range": colours},
                "legend": {"orient": "top", "symbolType": "stroke"},
            },
            "strokeDash": {
                "field": "on",
                "scale": {"domain": shown, "range": dashes},
                "legend": None,
            },
        },
    }
    best = best_epoch(epochs)
    ring = {
        "data": {
            "values": [{"step": best.get("step"), "value": best.get(f"val_{measure}")}]
            if best
            else []
        },
        "mark": {"type": "point", "size": 130, "color": VALIDATION, "strokeWidth": 1.5},
        "encoding": {"x": _steps_axis(), "y": y},
    }
    layers = [_phase_rules(epochs), ring]
    if steps:
        layers.append(
            {
                "data": {"values": thinned(steps)},
                "mark": {"type": "line", "color": TRAINING, "opacity": 0.4, "strokeWidth": 1},
                "encoding": {"x": _steps_axis(), "y": y},
            }
        )
    return {"width": _WIDTH, "height": _HEIGHT, "layer": [*layers, line]}


def rate_chart(
    epochs: Sequence[Row], steps: Sequence[Row], stages: Sequence[str]
) -> dict[str, Any]:
    """Return the chart of the learning rate that each stage was really given.

    Args:
        epochs: The lines of `metrics.jsonl`, used where no steps were recorded.
        steps: The lines of `steps.jsonl`.
        stages: Names in execution order.

    Returns:
        A Vega-Lite specification with a logarithmic axis.

    Example:
        >>> steps = [{"step": 1, "lr": {"head": 0.1, "stem": 0}}, {"step": 2, "lr": {"head": 0.05}}]
        >>> for point in rate_chart([], steps, ["stem"])["layer"][-1]["data"]["values"]:
        ...     print(point)
        {'step': 1, 'rate': 0.1, 'stage': 'head', 'run': None}
        {'step': 2, 'rate': 0.05, 'stage': 'head', 'run': None}
    """
    records = every(steps or epochs, _AT_MOST)
    order = [*stages, "head"]
    present = [stage for stage in order if any((row.get("lr") or {}).get(stage) for row in records)]
    colours = dict(zip(order, depth_colours(len(order)), strict=True))
    shown = present[::-1]
    phases = {epoch.get("epoch"): epoch.get("phase_index") for epoch in epochs}
    points = [point for stage in present for point in _rates(records, stage, phases)]
    decades = _decades([point["rate"] for point in points])
    line = {
        "data": {"values": points},
        "mark": {"type": "line", "strokeWidth": 2, "point": len(records) == 1},
        "encoding": {
            "x": _steps_axis(),
            "y": {
                "field": "rate",
                "type": "quantitative",
                "title": None,
                "scale": {"type": "log", "domain": [decades[0], decades[-1]], "nice": False},
                "axis": {"format": "~e", "values": decades},
            },
            "detail": {"field": "run"},
            "color": {
                "field": "stage",
                "scale": {
                    "domain": [visible(stage) for stage in shown],
                    "range": [colours[stage] for stage in shown],
                },
                "legend": {"orient": "right", "symbolType": "stroke"},
            },
        },
    }
    return {"width": _WIDTH - 45, "height": _HEIGHT, "layer": [_phase_rules(epochs), line]}


def best_epoch(epochs: Sequence[Row]) -> Row | None:
    """Return the epoch that the run kept: the last one that was the best so far.

    Example:
        >>> best_epoch([{"epoch": 1, "best": True}, {"epoch": 2, "best": False}])
        {'epoch': 1, 'best': True}
    """
    return next((epoch for epoch in reversed(epochs) if epoch.get("best")), None)


def thinned(steps: Sequence[Row]) -> list[Row]:
    """Return the loss per step, averaged over neighbours where there are too many steps to draw.

    Example:
        >>> thinned([{"step": 1, "loss": 0.5}, {"step": 2, "loss": float("nan")}])
        [{'step': 1, 'value': 0.5}]
    """
    losses = [
        (step.get("step"), loss) for step in steps if (loss := finite(step.get("loss"))) is not None
    ]
    size = max(1, math.ceil(len(losses) / _AT_MOST))
    groups = (losses[start : start + size] for start in range(0, len(losses), size))
    return [
        {"step": group[-1][0], "value": sum(loss for _, loss in group) / len(group)}
        for group in groups
    ]


def every(rows: Sequence[Row], at_most: int) -> list[Row]:
    """Return `rows`, or about `at_most` of them evenly spread, the first and the last among them.

    Example:
        >>> [row["step"] for row in every([{"step": n} for n in range(1, 101)], 4)]
        [1, 34, 67, 100]
    """
    if len(rows) <= at_most:
        return list(rows)
    return [rows[round(n * (len(rows) - 1) / (at_most - 1))] for n in range(at_most)]


def _rates(records: Sequence[Row], stage: str, phases: dict[Any, Any]) -> list[Row]:
    """Return the rates above zero of a stage; each phase is a run, and so a line, of its own."""
    return [
        {
            "step": row.get("step"),
            "rate": value,
            "stage": visible(stage),
            "run": phases.get(row.get("epoch")),
        }
        for row in records
        if (value := finite((row.get("lr") or {}).get(stage))) is not None and value > 0
    ]


def _decades(rates: Sequence[float]) -> list[float]:
    """Return the powers of ten around some rates, for an axis that is not crowded."""
    low = math.floor(math.log10(min(rates, default=1e-3)))
    high = math.ceil(math.log10(max(rates, default=1e-3)))
    return [10.0**power for power in range(low, max(high, low + 1) + 1)]


def _phase_rules(epochs: Sequence[Row]) -> dict[str, Any]:
    """Return a layer with a vertical line wherever one phase follows another."""
    starts = [
        {"step": before.get("step")}
        for before, after in pairwise(epochs)
        if before.get("phase_index") != after.get("phase_index")
    ]
    return {
        "data": {"values": starts},
        "mark": {"type": "rule", "color": MUTED, "strokeDash": [2, 3], "opacity": 0.7},
        "encoding": {"x": _steps_axis()},
    }


def _steps_axis() -> dict[str, Any]:
    return {
        "field": "step",
        "type": "quantitative",
        "title": "optimizer step",
        "scale": {"nice": False},
        "axis": {
            "format": ",d",
            "grid": False,
            "domain": True,
            "domainColor": LINE,
            "tickCount": 4,
        },
    }
