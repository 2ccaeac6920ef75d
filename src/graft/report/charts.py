"""Vega-Lite to SVG and PNG, offline, in a process of its own that can neither hang nor kill a run.

vl-convert carries a JavaScript engine. Used once, it makes every later use in a forked child wait
for ever; where memory is limited it ends its process by a signal. So `vega.py` runs it as a script
with a limit of time, and whatever goes wrong there is an error here.
"""

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
from graft.files import replacing
from graft.report.theme import INK, LINE, MUTED, TRAINING, VALIDATION, config

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
    with replacing(path) as temporary:
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
