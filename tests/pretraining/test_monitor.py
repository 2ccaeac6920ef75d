"""Promises of the monitor: what it adds to an epoch's line, and when it ends a run."""

from __future__ import annotations

import pytest
import torch
from tests.training.conftest import make_trainer, manifest

from graft.data.loader import Batch
from graft.errors import DivergedError, RecipeError
from graft.inference import Outputs
from graft.pretraining import monitor as module
from graft.pretraining.collapse import measure_collapse
from graft.pretraining.monitor import CollapseMonitor
from graft.pretraining.pretext import Pretext
from graft.tasks import CrossEntropy, Task
from graft.training import Callback

__all__ = ["make_trainer", "manifest"]


def held_out(count):
    images = torch.rand(8, 3, 16, 16)
    return [Batch(images, torch.full((8, 1), -1), torch.arange(8))]


def test_a_line_says_how_spread_the_features_are(make_trainer):
    watch = CollapseMonitor(held_out)
    trainer = make_trainer("scratch", epochs=2, trainer={"callbacks": [watch]})
    trainer.train()
    for line in trainer.history:
        assert line["loss"] == line["train_loss"]
        assert line["spread"] > 0
        assert 1 <= line["effective_rank"] <= 8
        assert isinstance(line["lr"], float)


class Interrupts(Callback):
    """Presses Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, trainer, line):
        if line["epoch"] == self.epoch:
            raise KeyboardInterrupt


def test_epochs_before_an_interruption_count_for_its_patience(make_trainer, tmp_path, monkeypatch):
    collapsed = measure_collapse(torch.ones(8, 4))
    monkeypatch.setattr(module, "measure_collapse", lambda features: collapsed)

    def run(**options):
        callbacks = [CollapseMonitor(held_out), Interrupts(options.pop("until", 0))]
        own = {"callbacks": callbacks, **options}
        return make_trainer("scratch", epochs=9, folder=tmp_path / "r", trainer=own)

    with pytest.raises(KeyboardInterrupt):
        run(until=3).train()
    resumed = run(resume=True)
    with pytest.raises(DivergedError, match="for 3 epochs"):
        resumed.train()
    assert resumed.position.epoch == 3


def test_a_pretext_is_a_task_without_answers():
    task = Pretext(CrossEntropy())
    assert isinstance(task, Task)
    for asked in (
        lambda: task.score(Outputs(torch.zeros(1, 2), torch.zeros(1))),
        lambda: task.metrics(Outputs(torch.zeros(1, 2), torch.zeros(1))),
        lambda: task.activate(torch.zeros(1, 2)),
        lambda: task.prediction("a.jpg", torch.zeros(2)),
    ):
        with pytest.raises(RecipeError, match="graft fit DIR --backbone"):
            asked()
