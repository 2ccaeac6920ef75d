"""The heat map stays readable, complete in its rows, and harmless."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np

from graft.report.confusion_chart import MOST_CLASSES, confusion_chart, shortened
from graft.report.svg import draw


def test_of_many_classes_the_worst_are_shown_and_no_image_is_lost() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.integers(0, 3, (200, 200)).tolist()
    names = [f"class {n}" for n in range(200)]
    spec = confusion_chart({"classes": names, "confusion": matrix})
    cells = spec["data"]["values"]
    assert spec["params"][1]["value"][-1] == "all others"
    assert len(cells) == MOST_CLASSES * (MOST_CLASSES + 1)
    first = names.index(spec["params"][0]["value"][0])
    assert sum(cell["images"] for cell in cells if cell["row"] == 0) == sum(matrix[first])


def test_a_class_without_images_has_an_empty_row() -> None:
    spec = confusion_chart({"classes": ["a", "b"], "confusion": [[0, 0], [1, 2]]})
    assert [cell["share"] for cell in spec["data"]["values"][:2]] == [0, 0]


def test_names_that_mean_something_to_a_browser_are_only_text() -> None:
    names = ["<script>alert(1)</script>", "__proto__", "datum", "a\x00b", "\udce9", '"]}']
    metrics = {"classes": names, "confusion": np.eye(6, dtype=int).tolist()}
    svg = draw(confusion_chart(metrics))
    tree = ET.fromstring(svg)
    assert "<script" not in svg
    assert {"__proto__", "datum", "\\udce9", '"]}'} <= {element.text for element in tree.iter()}


def test_a_short_name_is_not_cut_and_a_long_one_keeps_both_ends() -> None:
    assert shortened("a" * 20) == "a" * 20
    assert shortened("Formica rufa worker 17") == "Formica ru…worker 17"
    assert len(shortened("x" * 500)) == 20
