"""The confusion matrix stays readable, and complete in its rows."""

from __future__ import annotations

import numpy as np

from graft.report.classes import MOST_CLASSES, OTHERS, confusion_table, shortened


def test_of_many_classes_the_worst_are_shown_and_no_image_is_lost() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.integers(0, 3, (200, 200)).tolist()
    names = [f"class {n}" for n in range(200)]
    table = confusion_table({"classes": names, "confusion": matrix})
    assert table is not None
    assert not table.whole
    assert table.columns[-1] == OTHERS
    assert len(table.rows) == MOST_CLASSES
    for name, cells in table.rows:
        assert len(cells) == MOST_CLASSES + 1
        assert sum(cell.images for cell in cells) == sum(matrix[names.index(name)])
        assert [cell.right for cell in cells] == [column == name for column in table.columns]


def test_a_class_called_like_the_last_column_is_still_right_where_it_is_right() -> None:
    names = [OTHERS, *(f"class {n}" for n in range(MOST_CLASSES))]
    matrix = (np.eye(MOST_CLASSES + 1) + 1).astype(int)
    matrix[0] += 1
    table = confusion_table({"classes": names, "confusion": matrix.tolist()})
    assert table is not None
    name, cells = table.rows[0]
    assert name == OTHERS
    assert [cell.right for cell in cells] == [True] + [False] * MOST_CLASSES


def test_a_class_without_images_has_an_empty_row() -> None:
    table = confusion_table({"classes": ["a", "b"], "confusion": [[0, 0], [1, 2]]})
    assert table is not None
    assert table.whole
    assert [cell.share for cell in table.rows[0][1]] == [0, 0]


def test_a_run_without_a_matrix_has_no_table() -> None:
    assert confusion_table({"classes": ["a"]}) is None


def test_a_short_name_is_not_cut_and_a_long_one_keeps_both_ends() -> None:
    assert shortened("a" * 20) == "a" * 20
    assert shortened("Formica rufa worker 17") == "Formica ru…worker 17"
    assert len(shortened("x" * 500)) == 20
