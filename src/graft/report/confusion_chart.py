"""The confusion matrix as a heat map."""

from __future__ import annotations

from typing import Any

from graft.report.classes import mistakes_shown
from graft.report.theme import INK, RIGHT, WRONG
from graft.report.words import visible

MOST_CLASSES = 24  # so that names and counts stay readable, and the page small


def confusion_chart(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the heat map of a confusion matrix, or of its classes with the most mistakes.

    Rows are the truth. A cell's strength is its share of the row's images; what is right and what
    is wrong have different colours. Classes that are not shown add up in a last column.

    Args:
        metrics: The metrics document.

    Returns:
        A Vega-Lite specification.

    Example:
        >>> spec = confusion_chart({"classes": ["ants", "bees"], "confusion": [[8, 2], [0, 9]]})
        >>> spec["data"]["values"][1]
        {'row': 0, 'column': 1, 'images': 2, 'share': 0.2, 'colour': 'var(--wrong)'}
    """
    classes, matrix = metrics["classes"], metrics["confusion"]
    shown = mistakes_shown(matrix, MOST_CLASSES)
    names = [shortened(visible(classes[index])) for index in shown]
    columns = names if len(shown) == len(classes) else [*names, "all others"]
    cell = max(20, min(72, 440 // len(columns)))
    longest = 7 * max(map(len, columns))  # pixels, about
    return {
        "width": cell * len(columns),
        "height": cell * len(names),
        "padding": {"left": 16, "top": 8, "right": 8, "bottom": 4},
        "data": {"values": _cells(matrix, shown)},
        "params": [{"name": "rows", "value": names}, {"name": "columns", "value": columns}],
        "encoding": {
            "x": _names_axis("column", columns, slanted=longest > cell),
            "y": _names_axis("row", names),
        },
        "layer": [
            {
                "mark": {"type": "rect", "cornerRadius": 2},
                "encoding": {
                    "fill": {"field": "colour", "scale": None},
                    "fillOpacity": {
                        "field": "share",
                        "type": "quantitative",
                        "scale": {"domain": [0, 1], "range": [0.05, 0.55]},
                        "legend": None,
                    },
                },
            },
            {
                "transform": [{"filter": "datum.images > 0"}],
                "mark": {"type": "text", "fontSize": 11 if cell < 40 else 13, "color": INK},
                "encoding": {
                    "text": {"field": "images", "type": "quantitative", "format": ",d"},
                },
            },
        ],
    }


def shortened(name: str, most: int = 20) -> str:
    """Return a name of at most `most` letters; the middle goes, as classes often differ at the end.

    Done here, because Vega would measure the label once per letter that it drops.

    Example:
        >>> shortened("ants"), shortened("Formica rufa, worker, dorsal", 12)
        ('ants', 'Formic…orsal')
    """
    if len(name) <= most:
        return name
    return name[: most // 2] + "…" + name[len(name) - most + most // 2 + 1 :]


def _cells(matrix: list[list[int]], shown: list[int]) -> list[dict[str, Any]]:
    cells = []
    for row, actual in enumerate(shown):
        counts = [matrix[actual][predicted] for predicted in shown]
        images = sum(matrix[actual])
        if len(shown) < len(matrix):
            counts.append(images - sum(counts))
        cells += [
            {
                "row": row,
                "column": column,
                "images": times,
                "share": times / max(1, images),
                "colour": RIGHT if row == column else WRONG,
            }
            for column, times in enumerate(counts)
        ]
    return cells


def _names_axis(field: str, names: list[str], slanted: bool = False) -> dict[str, Any]:
    # Cells are placed by number, and only labelled by name: a class may be called anything.
    return {
        "field": field,
        "type": "ordinal",
        "title": None,
        "scale": {"domain": list(range(len(names))), "paddingInner": 0.06},
        "axis": {
            "labelExpr": f"{field}s[datum.value]",
            "labelLimit": 0,
            "labelColor": INK,
            "orient": "top" if field == "column" else "left",
            "labelAngle": -45 if slanted else 0,
            "labelOverlap": False,
        },
    }
