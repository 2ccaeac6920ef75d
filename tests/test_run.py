"""Promises of the run folder."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from graft.errors import DataError, RecipeError
from graft.run import Run, append_line, keep_lines, next_folder, read_lines


def test_a_folder_that_holds_a_run_is_never_touched(tmp_path):
    Run.create(tmp_path / "r", seed=0).update(state="done")
    before = (tmp_path / "r/run.json").read_bytes()
    with pytest.raises(RecipeError, match="already holds a run"):
        Run.create(tmp_path / "r", seed=1)
    assert (tmp_path / "r/run.json").read_bytes() == before


def test_a_folder_with_other_files_is_never_written_into(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RecipeError, match="not an empty folder"):
        Run.create(tmp_path, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_without_a_run_is_said_to_be_one(tmp_path):
    with pytest.raises(DataError, match="holds no run"):
        Run.open(tmp_path)


def test_a_run_of_a_newer_graft_asks_for_an_update(tmp_path):
    run = Run.create(tmp_path / "r", seed=0)
    run.update(format=99)
    with pytest.raises(DataError, match="Update Graft"):
        Run.open(run.folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_damaged_run_is_named(tmp_path, text):
    run = Run.create(tmp_path / "r", seed=0)
    run.state_file.write_text(text)
    with pytest.raises(DataError, match="damaged"):
        Run.open(run.folder)


def test_lines_after_a_step_are_dropped_and_a_cut_off_last_line_with_them(tmp_path):
    path = tmp_path / "m.jsonl"
    for step in range(5):
        append_line(path, {"step": step})
    with path.open("a") as file:
        file.write('{"step": 5, "lo')
    keep_lines(path, 2)
    assert [line["step"] for line in read_lines(path)] == [0, 1, 2]


def test_the_next_free_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = next_folder("photos/ants & bees", "torchvision:resnet18", "probe")
    assert first.as_posix() == "runs/ants___bees-resnet18-probe"
    assert next_folder("photos/ants & bees", "torchvision:resnet18", "probe").name.endswith("-2")


def test_the_state_is_json_that_others_can_read(tmp_path):
    run = Run.create(tmp_path / "r", seed=3)
    state = json.loads(run.state_file.read_text())
    assert (state["state"], state["seed"], state["format"]) == ("running", 3, 1)
    assert {"python", "torch", "torchvision"} <= set(state["versions"])


def test_a_start_that_was_killed_counts_as_an_empty_folder(tmp_path):
    def killed(run):
        run.recipe.write_text("half")
        (run.folder / ".split.csv.0123456789ab.tmp").touch()
        shutil.copytree(run.folder, tmp_path / "left")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Run.create(tmp_path / "r", seed=0, write=killed)
    assert not list((tmp_path / "r").iterdir()), "an interrupt cleans up"
    assert not Run(tmp_path / "left").has_begun()
    run = Run.create(tmp_path / "left", seed=1)
    assert run.has_begun()
    assert [path.name for path in run.folder.iterdir()] == ["run.json"]


def test_files_of_others_beside_a_killed_start_are_not_touched(tmp_path):
    (tmp_path / "run.json").write_text('{"started": null}')
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RecipeError, match="not an empty folder"):
        Run.create(tmp_path, seed=0)
    assert {path.name for path in tmp_path.iterdir()} == {"run.json", "thesis.txt"}


@pytest.mark.parametrize("text", ["", "{", '{"state": "done"}'])
def test_a_damaged_run_is_not_taken_for_a_killed_start(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RecipeError, match="already holds a run"):
        Run.create(tmp_path, seed=0)


def test_two_who_ask_for_a_folder_get_two(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: next_folder("a", "b", "c"), range(8)))
    assert len(set(found)) == 8


@pytest.mark.parametrize(
    "change",
    [
        {"format": True},
        {"format": 0},
        {"format": -1},
        {"format": 1.0},
        {"seed": "__import__('os')"},
        {"seed": -1},
        {"seed": True},
        {"result": [1]},
        {"state": {"a": 1}},
        {"versions": "x" * 10_000},
    ],
)
def test_a_run_with_a_value_of_another_type_is_refused_in_two_lines(tmp_path, change):
    run = Run.create(tmp_path / "r", seed=0)
    run.update(**change)
    with pytest.raises(DataError) as refused:
        Run.open(run.folder)
    assert len(refused.value.problem) < 300
    assert refused.value.remedy


@pytest.mark.parametrize("text", ["[" * 100_000, '{"seed": 1' + "0" * 5000 + "}", '{"seed": NaN}'])
def test_a_run_that_is_no_plain_json_is_named(tmp_path, text):
    run = Run.create(tmp_path / "r", seed=0)
    run.state_file.write_text(text)
    with pytest.raises(DataError, match="damaged"):
        Run.open(run.folder)
