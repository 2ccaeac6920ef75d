"""Vega-Lite to a PNG file, offline, in the colours of daylight."""

from __future__ import annotations

import json
import os
from typing import Any

from graft.files import replacing
from graft.report.theme import INK, LINE, MUTED, TRAINING, VALIDATION, config

DAYLIGHT = {
    INK: "#1b2421",
    MUTED: "#5c6964",
    LINE: "#dde3e0",
    TRAINING: "#808a94",
    VALIDATION: "#0b7a63",
}
"""What the report's style sheet says by day; a picture has no style sheet of its own."""


def write_png(spec: dict[str, Any], path: str | os.PathLike[str], *, scale: float = 2.0) -> None:
    """Write a chart as a picture on white, whole or not at all.

    Args:
        spec: A Vega-Lite specification with its data inside.
        path: Where to.
        scale: Pixels per unit of the chart.

    Raises:
        ResourceError: The disk is full or the place cannot be written.
    """
    import vl_convert

    drawn = vl_convert.vegalite_to_png(
        _coloured({**spec, "background": "#ffffff", "padding": 16}),
        config=_coloured({**config(), "background": "#ffffff"}),
        scale=scale,
        allowed_base_urls=[],
    )
    with replacing(path) as temporary:
        temporary.write_bytes(drawn)


def _coloured(tree: dict[str, Any]) -> dict[str, Any]:
    """Return a copy in which the names of colours are colours."""
    text = json.dumps(tree)
    for name, colour in DAYLIGHT.items():
        text = text.replace(name, colour)
    coloured: dict[str, Any] = json.loads(text)
    return coloured
