"""Strategies beside each other: test accuracy with its interval, as a chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graft.report.theme import INK, MUTED, TRAINING, VALIDATION


def strategies_chart(rows: Sequence[dict[str, Any]], title: str, control: str) -> dict[str, Any]:
    """Return a chart with a line per strategy: a dot at its test accuracy on its 95% interval.

    Args:
        rows: Documents with `strategy`, `test_accuracy`, `test_interval`.
        title: What was compared on what.
        control: The strategy that the others are measured against; it is grey.

    Returns:
        A Vega-Lite specification.

    Example:
        >>> row = {"strategy": "full", "test_accuracy": 0.9, "test_interval": [0.8, 0.95]}
        >>> strategies_chart([row], "digits", "scratch")["data"]["values"][0]["label"]
        '90.0%'
    """
    values = [
        {
            "strategy": row["strategy"],
            "accuracy": row["test_accuracy"],
            "low": row["test_interval"][0],
            "high": row["test_interval"][1],
            "label": f"{row['test_accuracy']:.1%}",
            "colour": TRAINING if row["strategy"] == control else VALIDATION,
        }
        for row in rows
    ]
    y = {
        "field": "strategy",
        "type": "nominal",
        "sort": [row["strategy"] for row in rows],
        "title": None,
        "axis": {"labelColor": INK, "labelFontSize": 13, "grid": False},
    }
    x = {
        "field": "accuracy",
        "type": "quantitative",
        "title": "test accuracy, 95 % interval",
        "scale": {"zero": False, "nice": True},
        "axis": {"format": "~%", "tickCount": 6},
    }
    colour = {"field": "colour", "type": "nominal", "scale": None}
    return {
        "width": 420,
        "height": 34 * len(values),
        "title": {
            "text": title,
            "anchor": "start",
            "color": MUTED,
            "fontSize": 12,
            "fontWeight": "normal",
            "offset": 12,
        },
        "data": {"values": values},
        "encoding": {"y": y},
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 3, "strokeCap": "round", "opacity": 0.55},
                "encoding": {
                    "x": {**x, "field": "low"},
                    "x2": {"field": "high"},
                    "color": colour,
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 110, "opacity": 1},
                "encoding": {"x": x, "color": colour},
            },
            {
                "mark": {"type": "text", "dy": -12, "fontSize": 11, "color": INK},
                "encoding": {"x": x, "text": {"field": "label"}},
            },
        ],
    }
