"""Which columns hold images and labels."""

from __future__ import annotations

import pytest

from graft.data.hub_dataset import Columns, find_columns
from graft.errors import DataError

datasets = pytest.importorskip("datasets", reason="the extra [datasets] is not installed")
IMAGE, TEXT, NUMBER = datasets.Image(), datasets.Value("string"), datasets.Value("int64")
CLASSES = datasets.ClassLabel(names=["ants", "bees"])


def test_columns_are_found_by_what_they_hold_and_not_by_name() -> None:
    features = {"file": TEXT, "size": NUMBER, "x": IMAGE, "y": CLASSES}

    assert find_columns(features, "photos") == Columns("x", "y", ("ants", "bees"))


@pytest.mark.parametrize(
    ("features", "label"),
    [
        ({"i": IMAGE, "kind": TEXT}, "kind"),
        ({"i": IMAGE, "kind": datasets.Value("large_string")}, "kind"),
        ({"i": IMAGE, "file": TEXT, "Label": TEXT}, "Label"),
        ({"i": IMAGE, "label": TEXT, "kind": CLASSES}, "kind"),
    ],
)
def test_strings_can_be_labels(features: dict[str, object], label: str) -> None:
    assert find_columns(features, "photos").label == label


@pytest.mark.parametrize(
    ("features", "problem"),
    [
        ({"label": CLASSES}, r"no image column; its columns are label \(int64\)"),
        ({}, "no image column; its columns are none"),
        ({"a": IMAGE, "b": IMAGE, "y": CLASSES}, "several .* the image: a, b"),
        ({"i": IMAGE, "fine": CLASSES, "coarse": CLASSES}, "several .* the label: fine, coarse"),
        ({"i": IMAGE, "label": CLASSES, "coarse": CLASSES}, "several .* the label: label, coarse"),
        ({"i": IMAGE, "file": TEXT, "kind": TEXT}, "several .* the label: file, kind"),
        ({"i": IMAGE, "label": NUMBER}, r"no label column; .* label \(int64\)"),
        ({"i": IMAGE, "labels": datasets.List(CLASSES)}, "no label column"),
    ],
)
def test_what_is_missing_or_ambiguous_is_said_with_the_columns(
    features: dict[str, object], problem: str
) -> None:
    with pytest.raises(DataError, match=f"^photos has {problem}"):
        find_columns(features, "photos")


@pytest.mark.parametrize(
    ("classes", "value", "label"),
    [
        (("ants", "bees"), 1, "bees"),
        (("ants", "bees"), -1, ""),
        (("ants", "bees"), 2, ""),
        (("ants", "bees"), None, ""),
        (None, " ants ", "ants"),
        (None, "Ka\u0308fer", "Käfer"),
        (None, "", ""),
        (None, None, ""),
        (None, "a\nb", ""),
    ],
)
def test_a_label_is_a_class_name_or_nothing(
    classes: tuple[str, ...] | None, value: object, label: str
) -> None:
    assert Columns("i", "y", classes).label_in({"y": value}) == label
