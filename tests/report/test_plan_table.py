"""A plan as a grid says for every phase what each part of the network does."""

from __future__ import annotations

from graft.report.tables import plan_table

STAGES = ["stem", "stage1", "stage2"]


def column(**phase: object) -> dict[str, str]:
    table = plan_table({"stages": STAGES, "phases": [{"name": "one", **phase}]})
    return {row.name: row.cells[0] for row in table.rows}


def test_parts_run_from_the_head_down_to_the_stem() -> None:
    rows = plan_table({"stages": STAGES, "phases": []}).rows
    assert [row.name for row in rows if row.is_part] == ["head", "stage2", "stage1", "stem"]


def test_each_stage_that_trains_shows_its_own_learning_rate() -> None:
    rates = {"head": 1e-2, "stage2": 1e-3}
    cells = column(method="gradient", trains=["head", "stage2"], learning_rates=rates)
    assert (cells["head"], cells["stage2"], cells["stem"]) == ("1e-2", "1e-3", "frozen")


def test_a_stage_with_a_rate_but_frozen_is_frozen() -> None:
    cells = column(method="gradient", frozen=["stem"], learning_rates={"head": 1.0, "stem": 0.1})
    assert cells["stem"] == "frozen"


def test_a_solved_head_has_neither_rate_nor_epochs() -> None:
    cells = column(method="solve", epochs=0, trains=["head"], frozen=STAGES, learning_rates={})
    assert (cells["head"], cells["epochs"], cells["stage2"]) == ("solved", "–", "frozen")


def test_a_phase_that_ends_on_a_plateau_says_so() -> None:
    cells = column(method="gradient", epochs=20, until={"plateau": {"patience": 3}})
    assert cells["epochs"] == "up to 20, plateau of 3"
