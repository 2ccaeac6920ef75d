"""Promises of a run folder over its life: one process at a time, and no end is a dead one."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import graft
from graft.errors import DataError, RecipeError, ResourceError
from graft.run import Run, append_line, read_lines
from graft.training import Callback
from graft.workflows.lifecycle import recorded, resumed_run
from tests.workflows.conftest import SMALL

STARTS = """
import sys
from graft.run import Run
from graft.errors import RecipeError
from graft.workflows.lifecycle import new_run
print("ready", flush=True)
sys.stdin.readline()
try:
    with new_run(sys.argv[1], seed=0, write=lambda run: None):
        print("entered", flush=True)
        sys.stdin.readline()
except RecipeError as error:
    print(error, flush=True)
"""


def start(folder):
    return subprocess.Popen(
        [sys.executable, "-c", STARTS, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_of_several_starts_into_one_folder_one_enters_and_the_others_hear_who_it_is(tmp_path):
    processes = [start(tmp_path / "r") for _ in range(3)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.stdout.readline() for process in processes]
    entered = said.index("entered\n")
    assert said.count("entered\n") == 1, said
    with (
        pytest.raises(RecipeError, match=f"process {processes[entered].pid} on"),
        resumed_run(tmp_path / "r", "fit"),
    ):
        raise AssertionError("never entered")
    processes[entered].kill()
    for process in processes:
        process.communicate()
    with resumed_run(tmp_path / "r", "fit"):
        pass  # a kill leaves no lock


def test_a_start_that_was_killed_is_no_run_to_resume(tmp_path):
    Run.create(tmp_path / "r", seed=0).update(started=None)
    with (
        pytest.raises(DataError, match="before it had begun"),
        resumed_run(tmp_path / "r", "fit"),
    ):
        raise AssertionError("never entered")


def test_without_a_checkpoint_every_line_is_written_again(tmp_path):
    run = Run.create(tmp_path / "r", seed=0)
    append_line(run.metrics, {"step": 0})
    with resumed_run(run.folder, "fit"):
        assert list(read_lines(run.metrics)) == []


def test_a_run_that_is_done_keeps_its_lines_and_loses_what_is_half_written(tmp_path):
    run = Run.create(tmp_path / "r", seed=0)
    append_line(run.metrics, {"step": 0})
    run.update(state="done")
    run.model.mkdir()
    for folder in (run.folder, run.model):
        (folder / ".report.html.0123456789ab.tmp").touch()
    with resumed_run(run.folder, "fit"):
        assert len(list(read_lines(run.metrics))) == 1
    assert not list(run.folder.rglob("*.tmp"))


def test_an_interrupt_after_the_last_number_leaves_the_run_done(tmp_path):
    run = Run.create(tmp_path / "r", seed=0)

    def interrupted():
        with recorded(run, "fit", lambda message: None):
            run.update(state="done")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert run.state()["state"] == "done"


def test_a_report_that_was_not_written_is_written_on_resume(photos, weights, tmp_path):
    fitted = graft.fit(photos, out=tmp_path / "r", weights=str(weights), **SMALL)
    (fitted.run / "report.html").unlink()
    graft.fit(out=fitted.run, resume=True)
    assert (fitted.run / "report.html").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows moves no folder that is in use")
def test_a_folder_that_is_moved_away_is_named_and_can_be_resumed_where_it_is(
    photos, weights, tmp_path
):
    class Moves(Callback):
        def on_batch_end(self, trainer, line):
            if (tmp_path / "r").exists():
                (tmp_path / "r").rename(tmp_path / "moved")

    options = {"weights": str(weights), "strategy": "full", "epochs": 1, **SMALL}
    with pytest.raises(ResourceError, match=r"moved, renamed or deleted.*--resume"):
        graft.fit(photos, out=tmp_path / "r", callbacks=[Moves()], **options)
    assert not (tmp_path / "r").exists()
    assert Run.open(tmp_path / "moved").state()["state"] == "running"
    graft.fit(out=tmp_path / "moved", resume=True)
    assert json.loads((tmp_path / "moved/run.json").read_text())["state"] == "done"


@pytest.mark.parametrize("out", ["", "a\0b", "x" * 300])
def test_an_output_that_cannot_be_is_refused_before_any_work(out, photos, weights):
    with pytest.raises(RecipeError):
        graft.fit(photos, out=out, weights=str(weights), **SMALL)
    with pytest.raises(RecipeError):
        graft.pretrain(out=out, image_size=16)
    with pytest.raises(RecipeError):
        graft.write_samples("digits", out)
