"""Mistakes are read from predictions.csv, the surest first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from graft.report.classes import confident_mistakes

HEADER = "path,split,label,prediction,confidence,correct,p(ants),p(bees)\n"


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    return tmp_path / "predictions.csv"


def test_the_most_confident_mistakes_of_the_split_come_first(predictions: Path) -> None:
    rows = [f"{n}.jpg,val,ants,bees,0.{50 + n},false,0,1\n" for n in range(40)]
    others = "x.jpg,test,ants,bees,0.99,false,0,1\ny.jpg,val,bees,bees,0.99,true,0,1\n"
    predictions.write_text(HEADER + others + "".join(rows))
    found = confident_mistakes(predictions, "val", 3)
    assert [mistake.path for mistake in found] == ["39.jpg", "38.jpg", "37.jpg"]


def test_an_image_without_a_label_is_no_mistake(predictions: Path) -> None:
    predictions.write_text(HEADER + "a.jpg,val,,bees,0.9,,0,1\n")
    assert confident_mistakes(predictions, "val") == []


def test_a_class_called_like_a_column_does_not_move_the_columns(predictions: Path) -> None:
    predictions.write_text(HEADER.replace("p(ants)", "label") + "a.jpg,val,ants,bees,0.9,x,0,1\n")
    assert confident_mistakes(predictions, "val")[0].label == "ants"


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", HEADER, HEADER + "a.jpg,val,an"])
def test_a_table_that_is_empty_foreign_or_cut_short_holds_no_mistakes(
    predictions: Path, content: str
) -> None:
    predictions.write_text(content)
    assert confident_mistakes(predictions, "val") == []


def test_a_path_that_is_not_utf8_still_names_its_file(predictions: Path) -> None:
    predictions.write_bytes(HEADER.encode() + b"caf\xe9.jpg,val,ants,bees,0.9,false,0,1\n")
    assert os.fsencode(confident_mistakes(predictions, "val")[0].path) == b"caf\xe9.jpg"
