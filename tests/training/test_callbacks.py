"""Promises of callbacks: what they hear, in which order, and what they may do."""

from __future__ import annotations

import pytest

from graft.errors import GraftError
from graft.run import read_lines
from graft.strategies import make_plan
from graft.training import Callback, notify
from tests.training.conftest import STAGES

EVENTS = [name for name in vars(Callback) if name.startswith("on_")]


class Hears(Callback):
    """Writes down the name of everything that it hears of."""

    def __init__(self):
        self.heard = []


for _name in EVENTS:
    setattr(Hears, _name, lambda self, *_, name=_name: self.heard.append(name))


def test_a_run_is_heard_from_beginning_to_end(make_trainer):
    hears = Hears()
    trainer = make_trainer("two-phase", epochs=2, trainer={"callbacks": [hears]})
    trainer.train()
    batches = ["on_batch_end"] * len(trainer.train_loader)
    result = ["on_validation_end", "on_epoch_end"]
    heard = [name for name in hears.heard if name != "on_progress"]
    epoch = ["on_epoch_begin", *batches, *result]
    assert heard[:5] == ["on_train_begin", "on_phase_begin", *result, "on_phase_end"]
    assert heard.count("on_epoch_begin") == 2
    assert heard[6 : 6 + len(epoch)] == epoch
    assert heard[-2:] == ["on_phase_end", "on_train_end"]
    assert "on_progress" in hears.heard


def test_frozen_stages_tell_how_far_they_are(make_trainer, manifest):
    seen = []

    class Counts(Callback):
        def on_progress(self, trainer, images, total):
            seen.append((images, total))

    make_trainer("probe", epochs=0, trainer={"callbacks": [Counts()]}).train()
    images = len(manifest.subset("train")) + len(manifest.subset("val"))
    assert seen[0] == (0, images)
    assert seen[-1] == (images, images)
    assert seen == sorted(seen)


def test_a_measurement_of_ones_own_is_in_the_files_and_in_the_history(make_trainer, tmp_path):
    class Measures(Callback):
        def on_validation_end(self, trainer, line):
            line["norm"] = trainer.model.head.linear.weight.norm().item()

    trainer = make_trainer(folder=tmp_path / "r", trainer={"callbacks": [Measures()]})
    trainer.train()
    assert all(line["norm"] > 0 for line in trainer.history)
    assert list(read_lines(tmp_path / "r/metrics.jsonl")) == trainer.history


def test_what_a_callback_is_told_of_an_epoch_is_saved_already(make_trainer, tmp_path):
    class Looks(Callback):
        def on_epoch_end(self, trainer, line):
            assert list(read_lines(tmp_path / "r/metrics.jsonl"))[-1] == line
            assert trainer.checkpoints.position() == trainer.position

    make_trainer(folder=tmp_path / "r", trainer={"callbacks": [Looks()]}).train()


@pytest.mark.parametrize("strategy", ["full", "gradual"])
def test_a_callback_may_end_the_run_after_an_epoch(make_trainer, strategy):
    class Enough(Callback):
        def on_batch_end(self, trainer, line):
            trainer.stop = True

    trainer = make_trainer(strategy, epochs=6, trainer={"callbacks": [Enough()]})
    best = trainer.train()
    assert trainer.position.epoch == 1
    assert best.epoch in (0, 1)
    assert not trainer.model.training


def test_a_callback_may_end_the_phase(make_trainer):
    class Next(Callback):
        def on_epoch_end(self, trainer, line):
            trainer.stop_phase = True

    trainer = make_trainer("gradual", epochs=9, trainer={"callbacks": [Next()]})
    trainer.train()
    phases = make_plan("gradual", STAGES, epochs=9, lr=0.02).phases
    assert trainer.position.epoch == sum(phase.method == "gradient" for phase in phases)


def test_what_a_callback_raises_ends_the_run_with_the_best_weights_in_place(make_trainer):
    class Objects(Callback):
        def on_epoch_begin(self, trainer, epoch):
            if epoch == 2:
                raise GraftError("No further.", "Ask again.")

    trainer = make_trainer("full", epochs=3, trainer={"callbacks": [Objects()]})
    with pytest.raises(GraftError, match="No further"):
        trainer.train()
    assert trainer.position.best is not None
    assert not trainer.model.training


def test_callbacks_are_called_in_the_order_given():
    order = []

    class Says(Callback):
        def __init__(self, name):
            self.name = name

        def on_message(self, message):
            order.append((self.name, message))

    notify([Says("first"), Says("second")], "on_message", "hello")
    assert order == [("first", "hello"), ("second", "hello")]


def test_a_resumed_run_remembers_the_epochs_before(make_trainer, tmp_path):
    make_trainer(epochs=2, folder=tmp_path / "r").train()
    resumed = make_trainer(epochs=3, folder=tmp_path / "r", trainer={"resume": True})
    resumed.train()
    assert [line["epoch"] for line in resumed.history] == [0, 1, 2, 3]
