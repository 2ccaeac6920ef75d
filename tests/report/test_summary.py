"""The terminal: everything said, nothing obeyed, nothing wider than the screen."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from graft.report.summary import print_metrics, print_plan, print_summary

MakeRun = Callable[..., Path]


def printed(show: Callable[[Console], None], width: int = 80, **options: Any) -> str:
    file = io.StringIO()
    show(Console(file=file, width=width, **options))
    return file.getvalue()


def run_of(folder: Path) -> dict[str, Any]:
    run: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return run


def summary_of(folder: Path, **options: Any) -> str:
    run = run_of(folder)
    return printed(lambda c: print_summary(run["result"], run["validation"], c), **options)


def gradual(count: int) -> dict[str, Any]:
    stages = ["stem", *(f"stage{n}" for n in range(1, count + 1))]
    phases = []
    for below in range(count, -1, -1):
        trains = ["head", *reversed(stages[below + 1 :])]
        rates = {name: 10.0**-index for index, name in enumerate(trains, 1)}
        phases.append({"name": f"phase {count - below}", "method": "gradient", "epochs": 2})
        phases[-1] |= {"trains": trains, "frozen": stages[: below + 1], "learning_rates": rates}
    return {"strategy": "gradual", "stages": stages, "phases": phases, "batch_norm": "eval"}


def test_the_summary_says_the_number_its_worth_and_what_to_do_next(make_run: MakeRun) -> None:
    text = summary_of(make_run())
    for words in (
        "95.4% of 153 validation images right, 95% interval 91.4 to 98.4%",
        "Selected on validation",
        "Good fit.",
        "Next: More images",
        "Warning: 1 image",
        "ants taken for bees, 4 times (5.7%)",
        "2,226,434 parameters",
        "41.3 s",
        "runs/ants",
    ):
        assert words in text


def test_without_a_terminal_the_summary_is_plain_text(make_run: MakeRun) -> None:
    assert "\x1b" not in summary_of(make_run())


def test_no_color_is_honoured_on_a_terminal(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run()
    assert "\x1b[1;32m" in summary_of(folder, force_terminal=True, color_system="standard")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1;32m" not in summary_of(folder, force_terminal=True, color_system="standard")


def test_markup_and_escapes_in_class_names_are_shown_as_they_are(make_run: MakeRun) -> None:
    folder = make_run(["[red]", "[/]\x1b[2J"], [[3, 1], [1, 4]])
    text = summary_of(folder)
    assert "[red] taken for [/]\\x1b[2J" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(make_run: MakeRun, width: int) -> None:
    folder = make_run(["a" * 60, "b" * 60], [[3, 1], [1, 4]])
    run = run_of(folder)
    text = summary_of(folder, width=width)
    text += printed(lambda console: print_metrics(run["validation"], console), width)
    text += printed(lambda console: print_plan(run["result"]["plan"], console), width)
    assert max(map(len, text.splitlines())) <= width


def test_at_eighty_columns_every_number_of_a_class_is_whole(make_run: MakeRun) -> None:
    folder = make_run(["an ant with a rather long name", "bees"], [[9999, 1], [1, 4]])
    assert all(word in summary_of(folder) for word in ("10,000", "99.9 to 100.0%", "1.000"))


def test_of_two_hundred_classes_the_least_recognised_are_listed(make_run: MakeRun) -> None:
    matrix = [[10 if row == column else 0 for column in range(200)] for row in range(200)]
    matrix[77][3] = 10
    text = summary_of(make_run([f"kind{n:03}" for n in range(200)], matrix))
    assert "kind077" in text
    assert "and 180 classes recognised better" in text


def test_a_plan_shows_each_stages_rate_in_each_phase() -> None:
    text = printed(lambda console: print_plan(gradual(2), console))
    lines = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert lines["head"] == ["1e-1", "1e-1", "1e-1"]
    assert lines["stage2"] == ["frozen", "1e-2", "1e-2"]
    assert lines["stage1"] == ["frozen", "frozen", "1e-3"]
    assert lines["stem"] == ["frozen"] * 3


def test_a_plan_too_wide_for_the_terminal_continues_below_and_loses_no_phase() -> None:
    text = printed(lambda console: print_plan(gradual(12), console))
    assert all(f"phase {n}" in text for n in range(13))
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("stage12") > 1


def test_metrics_print_without_words_about_training(make_run: MakeRun) -> None:
    metrics = run_of(make_run())["validation"]
    text = printed(lambda console: print_metrics(metrics, console))
    assert "95.4% of 153 images right" in text
    assert "Loss 0.183, macro F1 0.954" in text
    assert "Selected" not in text


def test_an_empty_result_prints_nothing_wrong() -> None:
    assert printed(lambda console: print_summary({}, None, console)) == ""
