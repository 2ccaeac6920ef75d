"""Run folders are read as far as the run got, and refused in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from graft.errors import DataError
from graft.report.record import read_record


def test_a_folder_without_run_json_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no run\.json.*graft fit --out"):
        read_record(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", "\udcff"])
def test_a_damaged_run_json_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content, errors="surrogateescape")
    with pytest.raises(DataError, match="damaged"):
        read_record(tmp_path)


def test_a_run_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"format": 2}')
    with pytest.raises(DataError, match="format 2"):
        read_record(tmp_path)


def test_a_line_cut_short_by_a_kill_does_not_hide_the_others(make_run: Callable[..., Path]) -> None:
    folder = make_run()
    whole = read_record(folder)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 9, "val_acc')
    assert read_record(folder).epochs == whole.epochs


def test_the_numbers_are_the_tests_once_there_are_any(make_run: Callable[..., Path]) -> None:
    record = read_record(make_run(test={"accuracy": 0.5}))
    assert (record.split, record.metrics) == ("test", {"accuracy": 0.5})
