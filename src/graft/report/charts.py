"""Charts as Vega-Lite: their colours, inline SVG, and strategies beside each other."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graft.errors import ResourceError
from graft.files import atomic_write

INK = "var(--ink)"
MUTED = "var(--muted)"
LINE = "var(--line)"
TRAINING = "var(--training)"
VALIDATION = "var(--validation)"

# From the stem to the head. One lightness throughout, so that each reads on white and on black.
_DEPTHS = (
    (139, 111, 209),
    (46, 134, 200),
    (22, 152, 138),
    (110, 150, 40),
    (208, 132, 24),
    (214, 73, 24),
)


def depth_colours(count: int) -> list[str]:
    """Return `count` colours that run from the stem to the head.

    Args:
        count: How many stages there are, the head included.

    Example:
        >>> depth_colours(2)
        ['#8b6fd1', '#d64918']
    """
    colours = []
    for index in range(count):
        position = index * (len(_DEPTHS) - 1) / max(1, count - 1)
        low = min(int(position), len(_DEPTHS) - 2)
        share = position - low
        mixed = (
            round(below + share * (above - below))
            for below, above in zip(_DEPTHS[low], _DEPTHS[low + 1], strict=True)
        )
        colours.append("#" + "".join(f"{channel:02x}" for channel in mixed))
    return colours


def config() -> dict[str, Any]:
    """Return the Vega-Lite configuration that all charts share.

    Example:
        >>> config()["axis"]["labelColor"]
        'var(--muted)'
    """
    return {
        "background": None,
        "font": "system-ui, sans-serif",
        "padding": 4,
        "view": {"stroke": None},
        "aria": False,
        "axis": {
            "domain": False,
            "gridColor": LINE,
            "labelColor": MUTED,
            "labelFontSize": 11,
            "ticks": False,
            "labelPadding": 6,
            "titleColor": MUTED,
            "titleFontSize": 11,
            "titleFontWeight": "normal",
        },
        "legend": {
            "labelColor": INK,
            "labelFontSize": 11,
            "symbolStrokeWidth": 2,
            "symbolSize": 150,
            "title": None,
        },
    }


Spec = dict[str, Any]

SECONDS = 60.0
"""After so long without an answer there are no charts. Usually the answer takes less than one."""

DAYLIGHT = {
    INK: "#1b2421",
    MUTED: "#5c6964",
    LINE: "#dde3e0",
    TRAINING: "#808a94",
    VALIDATION: "#0b7a63",
}
"""What the report's style sheet says by day; an image has no style sheet of its own."""

_SCRIPT = Path(__file__).with_name("vega.py")


class ChartError(ResourceError):
    """Charts that could not be drawn; whoever wants them goes on without."""


def draw_svg(specs: Sequence[Spec]) -> list[str]:
    """Return charts as SVG elements to put into a page.

    An element scales with its column and carries no namespace URL; its colours are the page's.
    Starting the engine costs 0.6 s, each chart less than 0.1 s: draw all of a page in one call, and
    none where a table can say it.

    Args:
        specs: Vega-Lite specifications with their data inside.

    Returns:
        An `<svg>` element for each, with all text escaped.

    Raises:
        ChartError: The engine is missing, failed or did not answer within a minute, or a
            specification is none.

    Example:
        >>> [svg] = draw_svg([{"data": {"values": [{"x": 1}]}, "mark": "point",
        ...                    "encoding": {"x": {"field": "x", "type": "quantitative"}}}])
        >>> svg.startswith("<svg"), "http" in svg
        (True, False)
    """
    return [_inline(svg) for svg in _drawn("svg", specs, config=config())]


def write_png(spec: Spec, path: str | os.PathLike[str], *, scale: float = 2.0) -> None:
    """Write a chart as an image on white, whole or not at all.

    Args:
        spec: A Vega-Lite specification with its data inside.
        path: Where to.
        scale: Pixels per unit of the chart.

    Raises:
        ChartError: As in `draw_svg`.
        ResourceError: The disk is full or the place cannot be written.
    """
    white = _coloured({**spec, "background": "#ffffff", "padding": 16})
    [drawn] = _drawn(
        "png", [white], config=_coloured({**config(), "background": "#ffffff"}), scale=scale
    )
    with atomic_write(path) as temporary:
        temporary.write_bytes(base64.b64decode(drawn))


def _drawn(form: str, specs: Sequence[Spec], **options: Any) -> list[str]:
    """Return what `vega.py` makes of the charts: SVG, or PNG in base64."""
    request = {"path": sys.path, "form": form, "specs": list(specs), "options": options}
    try:
        # -I: neither the current folder nor the environment adds modules to what runs there.
        answer = subprocess.run(
            [sys.executable, "-I", os.fspath(_SCRIPT)],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=SECONDS,
            check=True,
        )
        drawn: list[str] = json.loads(answer.stdout)
    except subprocess.TimeoutExpired:
        reason = f"the chart engine did not answer within {SECONDS:g} s"
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        ended = f"by signal {-error.returncode}" if error.returncode < 0 else "in an error"
        reason = f"the chart engine ended {ended}" + (f" ({said[-1]})" if said else "")
    except (OSError, ValueError) as error:
        reason = f"the chart engine could not be used ({error})"
    else:
        return drawn
    raise ChartError(
        f"The charts could not be drawn: {reason}.", "The tables have the same numbers."
    )


def _inline(svg: str) -> str:
    tag, drawing = svg.split(">", 1)
    tag = re.sub(r' (?:xmlns(?::xlink)?|version|class|height)="[^"]*"', "", tag)
    return f"{tag}>{drawing}"


def _coloured(tree: Spec) -> Spec:
    """Return a copy in which the names of colours are colours."""
    text = json.dumps(tree)
    for name, colour in DAYLIGHT.items():
        text = text.replace(name, colour)
    coloured: Spec = json.loads(text)
    return coloured


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
