"""Promises of checkpoints: whole or absent, whatever kills the process."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch

from graft.errors import DataError
from graft.tasks import Score
from graft.training import Checkpoints, Position, Result
from graft.training.checkpoints import COMPLETE

MODEL = {"weight": torch.arange(6.0).view(2, 3)}


def optimizer():
    parameter = torch.nn.Parameter(torch.zeros(3))
    made = torch.optim.SGD([parameter], lr=0.1, momentum=0.9)
    parameter.grad = torch.ones(3)
    made.step()
    return made


def save(folder, step):
    position = Position(step=step, epoch=step, best=Result(step, step, Score(0.5, 1.0)))
    model = {name: tensor + step for name, tensor in MODEL.items()}
    Checkpoints(folder).save(position, model, optimizer())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_a_process_killed_at_any_moment_of_saving_leaves_a_loadable_checkpoint(tmp_path):
    survived = []
    for moment in range(500):
        folder = tmp_path / str(moment)
        save(folder, 1)
        child = os.fork()
        if child == 0:
            left = moment

            def killer(event, _arguments):
                nonlocal left
                if event.startswith(("open", "os.", "shutil.")):
                    left -= 1
                    if left < 0:
                        os._exit(9)  # as a kill would: no clean-up runs

            sys.addaudithook(killer)
            save(folder, 2)
            os._exit(0)
        killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        checkpoints = Checkpoints(folder)
        position = checkpoints.position()
        step = position.step
        survived.append(step)
        assert torch.equal(checkpoints.model(step)["weight"], MODEL["weight"] + step)
        checkpoints.restore_optimizer(step, optimizer())
        if not killed:
            break
    assert not killed, "the last child saved undisturbed"
    assert set(survived) == {1, 2}, "some were killed before the rename and some after"


def test_a_checkpoint_appears_whole_by_one_rename(tmp_path, monkeypatch):
    renamed, rename = [], Path.rename

    def watched(source, target):
        assert not Path(target).exists()
        renamed.append((Path(target).name, {file.name for file in source.iterdir()}))
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", watched)
    save(tmp_path, 1)
    files = {"model.safetensors", "optimizer.safetensors", "state.json", COMPLETE}
    assert renamed == [("step-1", files)]


def test_a_folder_without_its_mark_is_no_checkpoint(tmp_path):
    save(tmp_path, 1)
    save(tmp_path, 2)
    (tmp_path / "step-9").mkdir()
    assert Checkpoints(tmp_path).position().step == 2
    (tmp_path / "step-2" / COMPLETE).unlink()
    assert Checkpoints(tmp_path).position() is None


def test_the_position_reads_back_as_it_was(tmp_path):
    score = Result(3, 12, Score(0.75, 0.5))
    position = Position(
        step=12,
        epoch=3,
        phase=1,
        phase_best=score,
        best=score,
        scores=[0.5, 0.75],
        fingerprints={"stem": "ab"},
        audits=[{"phase": "head", "frozen": ["stem"], "unchanged": True}],
    )
    Checkpoints(tmp_path).save(position, MODEL, optimizer())
    assert Checkpoints(tmp_path).position() == position


def test_the_optimizer_state_reads_back_as_it_was(tmp_path):
    first = optimizer()
    Checkpoints(tmp_path).save(Position(step=1), MODEL, first)
    second = torch.optim.SGD([torch.nn.Parameter(torch.zeros(3))], lr=0.1, momentum=0.9)
    Checkpoints(tmp_path).restore_optimizer(1, second)
    buffers = [
        one.state[one.param_groups[0]["params"][0]]["momentum_buffer"] for one in (first, second)
    ]
    assert torch.equal(*buffers)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("state.json", b"{"),
        ("state.json", b"[" * 100_000),
        ("state.json", b"null"),
        ("state.json", json.dumps({"steps": 1}).encode()),
        ("state.json", json.dumps({"step": "1"}).encode()),
        ("state.json", json.dumps({"step": -1}).encode()),
        ("state.json", b'{"step": 1, "rate_scale": NaN}'),
        ("state.json", json.dumps({"step": 1, "best": {"epoch": 1}}).encode()),
        ("state.json", json.dumps({"step": 1, "scores": "x"}).encode()),
        ("model.safetensors", b"x"),
    ],
)
def test_a_damaged_checkpoint_is_named(tmp_path, file, content):
    save(tmp_path, 1)
    (tmp_path / "step-1" / file).write_bytes(content)
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(DataError, match=r"step-1.*damaged"):
        checkpoints.model(checkpoints.position().step)


def test_a_position_is_read_as_it_was_written(tmp_path):
    best = Result(1, 3, Score(0.5, 1.0))
    position = Position(
        3, 1, best=best, phase_best=best, probe={"C": 1.0}, scores=[0.5], audits=[{"stage": "stem"}]
    )
    Checkpoints(tmp_path).save(position, MODEL, optimizer())
    assert Checkpoints(tmp_path).position() == position


def test_a_checkpoint_that_a_killed_process_had_not_dropped_is_dropped(tmp_path):
    save(tmp_path, 1)
    shutil.copytree(tmp_path / "step-1", tmp_path.with_name("kept"))
    save(tmp_path, 2)
    tmp_path.with_name("kept").rename(tmp_path / "step-1")
    (tmp_path / ".step-3.0123456789ab.tmp").mkdir()
    assert Checkpoints(tmp_path).recover().step == 2
    assert [path.name for path in tmp_path.iterdir()] == ["step-2"]
