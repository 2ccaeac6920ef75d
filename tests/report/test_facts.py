"""The facts name a failed freeze audit and leave out what is not known."""

from __future__ import annotations

from pathlib import Path

from graft.report.facts import facts
from graft.report.record import Record


def test_a_frozen_stage_that_changed_is_said_loudly() -> None:
    audits = [{"phase": "head", "frozen": ["stem", "stage1"], "unchanged": False}]
    assert ("freeze audit", "head: 2 frozen stages CHANGED") in facts(
        Record(Path("R"), {"audits": audits})
    )


def test_what_is_not_known_is_left_out_but_a_seed_of_zero_is_known() -> None:
    assert facts(Record(Path("R"), {"seed": 0, "finished": None, "result": None})) == [
        ("seed", "0")
    ]
