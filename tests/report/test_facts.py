"""The facts name a failed freeze audit and leave out what is not known."""

from __future__ import annotations

from pathlib import Path

from graft.report.record import Record, facts


def test_a_frozen_stage_that_changed_is_said_loudly() -> None:
    audits = [{"phase": "head", "frozen": ["stem", "stage1"], "unchanged": False}]
    assert ("freeze audit", "head: 2 frozen stages CHANGED") in facts(
        Record(Path("R"), {"audits": audits})
    )


def test_what_is_not_known_is_left_out_but_a_seed_of_zero_is_known() -> None:
    assert facts(Record(Path("R"), {"seed": 0, "finished": None, "result": None})) == [
        ("seed", "0")
    ]


def test_a_solved_head_is_told_with_what_the_features_give_without_learning():
    probe = {
        "C": 0.01,
        "at_edge": False,
        "tried": 30,
        "folds": 5,
        "temperature": 1.0,
        "prototypes": 0.95,
        "knn": 0.96,
    }
    told = dict(facts(Record(Path("R"), {"result": {"probe": probe}})))
    assert told["solved head"] == "C 0.01, the best of 30 in 5 folds"
    assert told["without learning"] == "nearest class mean 95.0%, nearest neighbours 96.0%"
