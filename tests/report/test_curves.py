"""Curves draw what was recorded, bounded in size, with gaps where nothing was."""

from __future__ import annotations

import math
from typing import Any

from graft.report.charts import draw_svg
from graft.report.curves import curve_chart, rate_chart, thinned


def epoch(number: int, **values: Any) -> dict[str, Any]:
    return {"epoch": number, "step": number * 10, "phase_index": 0, **values}


def points(spec: dict[str, Any]) -> list[dict[str, Any]]:
    values: list[dict[str, Any]] = spec["layer"][-1]["data"]["values"]
    return values


def test_an_accuracy_that_was_not_taken_is_a_gap_and_not_a_zero() -> None:
    spec = curve_chart([epoch(1, train_accuracy=None, val_accuracy=0.5)], "accuracy")
    assert points(spec) == [{"step": 10, "value": 0.5, "on": "validation"}]
    assert spec["layer"][-1]["encoding"]["color"]["scale"]["domain"] == ["validation"]


def test_many_steps_are_averaged_and_none_is_dropped() -> None:
    losses = thinned([{"step": n, "loss": float(n % 2)} for n in range(1, 100_001)])
    assert len(losses) <= 240
    assert losses[-1]["step"] == 100_000
    assert math.isclose(losses[0]["value"], 0.5, abs_tol=0.01)


def test_the_ring_is_on_the_last_best_epoch() -> None:
    epochs = [epoch(1, best=True, val_loss=0.5), epoch(2, best=True, val_loss=0.4), epoch(3)]
    assert curve_chart(epochs, "loss")["layer"][1]["data"]["values"] == [{"step": 20, "value": 0.4}]


def test_a_stage_has_no_rate_to_draw_while_it_is_frozen() -> None:
    rates = [{"head": 0.1, "stem": 0.0}, {"head": 0.1, "stem": 0.01}]
    steps = [{"step": n, "epoch": 1, "lr": rate} for n, rate in enumerate(rates)]
    drawn = points(rate_chart([], steps, ["stem"]))
    assert [point["rate"] for point in drawn if point["stage"] == "stem"] == [0.01]


def test_lines_do_not_run_on_from_one_phase_into_the_next() -> None:
    epochs = [epoch(1), epoch(2, phase_index=1)]
    steps = [{"step": n, "epoch": n, "lr": {"head": 0.1}} for n in (1, 2)]
    assert [point["run"] for point in points(rate_chart(epochs, steps, []))] == [0, 1]


def test_a_stage_keeps_its_colour_whether_or_not_others_train() -> None:
    def colour(rates: dict[str, float]) -> str:
        scale = rate_chart([], [{"step": 1, "lr": rates}], ["stem", "stage1"])["layer"][-1]
        scale = scale["encoding"]["color"]["scale"]
        return str(dict(zip(scale["domain"], scale["range"], strict=True))["head"])

    assert colour({"head": 0.1}) == colour({"head": 0.1, "stem": 0.01, "stage1": 0.05})


def test_a_run_whose_rates_are_all_zero_is_still_drawn() -> None:
    assert draw_svg([rate_chart([], [{"step": 1, "lr": {"head": 0.0}}], [])])[0].startswith("<svg")
