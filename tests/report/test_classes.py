"""Classes and pairs, from the confusion matrix."""

from __future__ import annotations

from graft.report.classes import class_rows, mistakes_shown, most_confused


def test_classes_without_images_come_last_and_claim_nothing() -> None:
    unseen = {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
    seen = {"precision": 1.0, "recall": 0.4, "f1": 0.6, "support": 5}
    rows = class_rows({"per_class": {"wasps": unseen, "ants": seen}})
    assert [row.name for row in rows] == ["ants", "wasps"]
    assert rows[-1].interval == (0.0, 1.0)


def test_pairs_are_ordered_by_how_often_and_never_hold_what_was_right() -> None:
    metrics = {"classes": ["a", "b", "c"], "confusion": [[90, 1, 3], [5, 2, 0], [0, 0, 0]]}
    pairs = [(pair.actual, pair.predicted, pair.times) for pair in most_confused(metrics)]
    assert pairs == [("b", "a", 5), ("a", "c", 3), ("a", "b", 1)]


def test_the_classes_shown_are_those_with_the_most_mistakes_whatever_their_size() -> None:
    large_and_right = [(0, 0, 1000), (1, 1, 3), (1, 2, 2), (2, 1, 1), (2, 2, 3)]
    assert mistakes_shown(large_and_right, 3, 2) == [1, 2]
