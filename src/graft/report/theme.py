"""The colours of every chart, as names that the page's style sheet gives a value to.

A chart never names a colour of its own: it says `var(--validation)`, and the page decides what
that is by daylight, in the dark and on paper.
"""

from __future__ import annotations

from typing import Any

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
