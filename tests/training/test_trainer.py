"""Promises of the loop: what it trains, what it remembers, how it fails."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graft.errors import DivergedError, GraftError
from graft.heads.linear import FRESH
from graft.inference import run
from graft.run import read_lines
from graft.strategies import STRATEGIES, Phase, Plan, StrategyOptions, make_plan
from graft.tasks import CrossEntropy, Objective
from graft.training import Callback
from graft.training.features import train_sample
from tests.training.conftest import STAGES, state


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


class Snapshots(Callback):
    """Remembers the weights as each epoch ends, before the best ones are put back."""

    def __init__(self):
        self.trainer = None
        self.states = []

    def on_epoch_end(self, trainer, line):
        self.states.append((line, state(self.trainer)))


def watched(make_trainer, *args, **kwargs):
    snapshots = Snapshots()
    trainer = make_trainer(*args, trainer={"callbacks": [snapshots]}, **kwargs)
    snapshots.trainer = trainer
    return trainer, snapshots


class LongestWeights:
    """Notes how long the head's longest weight vector is at each step."""

    def __init__(self):
        self.trainer, self.seen = None, []

    def __call__(self, model, batch, progress):
        self.seen.append(self.longest())
        return CrossEntropy()(model, batch, progress)

    def longest(self):
        return self.trainer.model.head.linear.weight.norm(dim=1).max().item()


def test_a_solved_head_is_brought_to_the_size_of_a_fresh_one_before_the_first_step(make_trainer):
    lengths = LongestWeights()
    snapshots = Snapshots()
    trainer = make_trainer(trainer={"objective": lengths, "callbacks": [snapshots]})
    lengths.trainer = snapshots.trainer = trainer
    trainer.train()
    _, solved = snapshots.states[0]
    assert solved["head.linear.weight"].norm(dim=1).max() > 2 * FRESH
    assert lengths.seen[0] == pytest.approx(FRESH)


def test_a_resumed_run_does_not_shrink_its_head_again(make_trainer, tmp_path):
    again = LongestWeights()
    options = {"folder": tmp_path / "run", "lr": 0.5}
    make_trainer(**options).train()
    resumed = again.trainer = make_trainer(
        **options, epochs=3, trainer={"objective": again, "resume": True}
    )
    resumed.train()
    assert again.seen[0] != pytest.approx(FRESH)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sets(st.sampled_from(STAGES)), st.sampled_from(["eval", "train"]))
def test_what_a_phase_freezes_keeps_every_bit_and_what_it_trains_moves(
    make_trainer, trained, batch_norm
):
    phase = Phase("p", "gradient", 1, {**dict.fromkeys(trained, 1.0), "head": 1.0})
    plan = Plan("custom", STAGES, (phase,), 1, batch_norm)
    trainer, snapshots = watched(make_trainer, plan=plan)
    before = state(trainer)
    trainer.train()
    after = snapshots.states[-1][1]
    for index, name in enumerate(STAGES):
        tensors = [key for key in before if key.startswith(f"body.{index}.")]
        moved = [key for key in tensors if not torch.equal(before[key], after[key])]
        if name not in trained:
            assert not moved
        else:
            assert any("weight" in key for key in moved)
            statistics = any("running" in key for key in moved)
            assert statistics == (batch_norm == "train")


def test_the_freeze_audit_fails_a_run_whose_frozen_statistics_drift(make_trainer, monkeypatch):
    import graft.training.trainer as module

    def forgetful(classifier, plan, phase):
        module_apply(classifier, plan, phase)
        classifier.body.train()  # the defect: requires_grad alone does not freeze BatchNorm

    module_apply = module.apply_phase
    monkeypatch.setattr(module, "apply_phase", forgetful)
    # A stage that is frozen above one that trains runs in every step.
    phase = Phase("p", "gradient", 1, {"stem": 1.0, "stage2": 1.0, "head": 1.0})
    trainer = make_trainer(plan=Plan("custom", STAGES, (phase,), 1))
    with pytest.raises(GraftError, match="Freeze audit failed: stage1"):
        trainer.train()


def test_the_audit_of_every_phase_is_kept(make_trainer):
    trainer = make_trainer("gradual", epochs=3)
    trainer.train()
    assert [audit["frozen"] for audit in trainer.position.audits] == [
        ["stem", "stage1", "stage2"],
        ["stem", "stage1"],
        ["stem"],
        [],
    ]
    assert all(audit["unchanged"] for audit in trainer.position.audits)


def test_every_parameter_is_in_the_optimizer_from_step_0(make_trainer):
    trainer = make_trainer("gradual")
    held = {id(p) for group in trainer.steps.optimizer.param_groups for p in group["params"]}
    assert held == {id(parameter) for parameter in trainer.model.parameters()}


def test_momentum_survives_the_change_of_phase(make_trainer):
    trainer = make_trainer("gradual", epochs=2, optimizer="sgd")
    seen = []

    class Watch(Callback):
        def on_phase_begin(self, trainer, phase):
            momenta = [trainer.steps.optimizer.state[p] for p in trainer.model.head.parameters()]
            seen.append([m["momentum_buffer"].clone() for m in momenta if m])

    trainer.callbacks.append(Watch())
    trainer.train()
    assert seen[-1], "the head's momentum is there when the last phase begins"


def test_the_rates_on_record_are_those_of_plan_and_schedule(make_trainer, tmp_path):
    options = StrategyOptions(decay=0.5)
    trainer = make_trainer(
        "full", epochs=2, folder=tmp_path / "r", strategy_options=options, schedule="cosine"
    )
    trainer.train()
    lines = list(read_lines(tmp_path / "r/steps.jsonl"))
    assert len(lines) == 2 * len(trainer.train_loader)
    for number, line in enumerate(lines):
        factor = (1 + torch.cos(torch.tensor(torch.pi * number / len(lines))).item()) / 2
        expected = {"stem": 0.25, "stage1": 0.5, "stage2": 1.0, "head": 1.0}
        for name, share in expected.items():
            assert line["lr"][name] == pytest.approx(0.02 * share * factor, rel=1e-4)


def test_a_smaller_rate_really_moves_a_stage_less(make_trainer):
    plan = Plan(
        "custom",
        STAGES,
        (Phase("p", "gradient", 1, {"stem": 1e-3, "stage1": 1.0, "stage2": 1.0, "head": 1.0}),),
        1,
    )
    trainer, snapshots = watched(make_trainer, plan=plan, optimizer="sgd", schedule="constant")
    before = state(trainer)
    trainer.train()
    after = snapshots.states[-1][1]
    moved = [(after[f"body.{i}.0.weight"] - before[f"body.{i}.0.weight"]).norm() for i in (0, 2)]
    assert moved[0] < 0.05 * moved[1]


def test_the_best_result_over_all_phases_is_the_one_that_is_kept(make_trainer):
    # A learning rate that wrecks the network in the second phase.
    plan = Plan(
        "custom",
        STAGES,
        (
            Phase("head", "solve", 0, {"head": 1.0}),
            Phase("all", "gradient", 2, dict.fromkeys((*STAGES, "head"), 20.0)),
        ),
        2,
    )
    trainer, snapshots = watched(make_trainer, plan=plan, schedule="constant")
    best = trainer.train()
    accuracies = [line["val_accuracy"] for line, _ in snapshots.states]
    assert best.score.value == max(accuracies)
    assert best.epoch == 0
    assert same(state(trainer), snapshots.states[0][1])


def wrecking(epochs=2):
    """A solved head, and then epochs whose learning rate wrecks the network."""
    phase = Phase("all", "gradient", epochs, dict.fromkeys((*STAGES, "head"), 20.0))
    return Plan("custom", STAGES, (Phase("head", "solve", 0, {"head": 1.0}), phase), epochs)


@pytest.mark.parametrize("keep", ["best", "fine-tuned", "last"])
def test_the_weights_that_are_kept_are_those_asked_for(make_trainer, keep):
    trainer, snapshots = watched(make_trainer, plan=wrecking(), schedule="constant", keep=keep)
    kept = trainer.train()
    lines = [line for line, _ in snapshots.states]
    assert lines[0]["val_accuracy"] > max(line["val_accuracy"] for line in lines[1:])
    ranks = [(line["val_accuracy"], -line["val_loss"]) for line in lines]
    expected = {"best": 0, "fine-tuned": ranks.index(max(ranks[1:])), "last": 2}[keep]
    assert kept.epoch == expected
    assert same(state(trainer), snapshots.states[expected][1])


@pytest.mark.parametrize("keep", ["fine-tuned", "last"])
def test_a_resumed_run_keeps_the_same_weights(make_trainer, tmp_path, keep):
    class StopAfterOne(Callback):
        def on_epoch_end(self, trainer, line):
            if line["epoch"] == 1:
                raise KeyboardInterrupt

    options = {"plan": wrecking(3), "schedule": "constant", "keep": keep}
    whole = make_trainer(**options, folder=tmp_path / "whole")
    kept = whole.train()
    stopped = make_trainer(
        **options, folder=tmp_path / "r", trainer={"callbacks": [StopAfterOne()]}
    )
    with pytest.raises(KeyboardInterrupt):
        stopped.train()
    resumed = make_trainer(**options, folder=tmp_path / "r", trainer={"resume": True})
    assert resumed.train() == kept
    assert same(state(resumed), state(whole))


def test_every_epoch_is_measured_on_the_same_training_images_in_eval_mode(make_trainer):
    class Measures(Callback):
        def on_epoch_end(self, trainer, line):
            outputs = run(trainer.model, trainer.source.sample)
            assert line["train_accuracy"] == trainer.task.score(outputs).value

    trainer = make_trainer("gradual", epochs=2, trainer={"callbacks": [Measures()]})
    trainer.train()
    assert len(trainer.history) == 3


def test_measuring_on_training_images_changes_no_weight(make_trainer, monkeypatch):
    import graft.training.trainer as module

    measured, snapshots = watched(make_trainer, "gradual", epochs=2)
    measured.train()
    monkeypatch.setattr(module, "train_sample", lambda *_: None)
    unmeasured, others = watched(make_trainer, "gradual", epochs=2)
    unmeasured.train()
    assert others.states[-1][0]["train_accuracy"] is None
    assert snapshots.states[-1][0]["train_accuracy"] is not None
    assert same(snapshots.states[-1][1], others.states[-1][1])


def test_the_training_images_to_measure_on_are_few_and_always_the_same(make_trainer):
    model = make_trainer().model
    images = [np.full((4, 4, 3), number % 251, np.uint8) for number in range(1000)]
    clean = model.loader(images)
    chosen = [train_sample(model, clean, seed).samples for seed in (0, 0, 1)]
    assert [len(samples) for samples in chosen] == [250, 250, 250]
    same_images = [[id(image) for image in samples] for samples in chosen]
    assert same_images[0] == same_images[1] != same_images[2]


def test_every_epoch_draws_its_own_drop_out(make_trainer):
    seeds = []

    class Seeds(Callback):
        def on_epoch_begin(self, trainer, epoch):
            seeds.append(torch.initial_seed())

    make_trainer(epochs=3, seed=5, trainer={"callbacks": [Seeds()]}).train()
    assert seeds == [5 * 1_000_003 + epoch for epoch in (1, 2, 3)]


@pytest.mark.parametrize("strategy", sorted(set(STRATEGIES) - {"phases"}))
def test_the_same_seed_gives_the_same_weights_bit_for_bit(make_trainer, strategy):
    runs = []
    for workers in (1, 3):
        trainer = make_trainer(strategy, epochs=2, workers=workers)
        trainer.train()
        runs.append(state(trainer))
    assert same(*runs)


def test_another_seed_gives_other_weights(make_trainer):
    runs = [make_trainer("full", seed=seed) for seed in (0, 1)]
    for trainer in runs:
        trainer.train()
    assert not same(*map(state, runs))


class Killed(BaseException):
    """Stands for a kill at a moment no code can prepare for."""


@pytest.mark.parametrize("strategy", ["full", "gradual", "scratch"])
@pytest.mark.parametrize("moment", [1, 3, 8, 11, 14])
def test_a_run_killed_anywhere_resumes_to_the_same_weights(
    make_trainer, tmp_path, strategy, moment
):
    whole = make_trainer(strategy, epochs=3, folder=tmp_path / "whole", early_stopping=5)
    whole.train()

    class Kill(Callback):
        left = moment

        def on_batch_end(self, trainer, line):
            self.left -= 1
            if not self.left:
                raise Killed

    options = {"epochs": 3, "folder": tmp_path / "r", "early_stopping": 5}
    with pytest.raises(Killed):
        make_trainer(strategy, trainer={"callbacks": [Kill()]}, **options).train()
    resumed = make_trainer(strategy, trainer={"resume": True}, **options)
    resumed.train()
    assert same(state(whole), state(resumed))
    assert whole.position == resumed.position


OWN_WAYS = (
    "head:2 optimizer=SGD(lr=0.1,momentum=0.9) schedule=cosine "
    "/ head+stage2:2 optimizer=Adam(lr=1e-2) schedule=StepLR(step_size=1,gamma=0.5) "
    "/ all:1 lr=1e-3 schedule=constant"
)


def phases_of(said):
    return make_plan("phases", STAGES, lr=0.02, options=StrategyOptions(phases=said))


def test_every_phase_has_its_own_optimizer_rate_and_schedule(make_trainer, tmp_path):
    seen = []

    class Watch(Callback):
        def on_phase_begin(self, trainer, phase):
            optimizer = trainer.steps.optimizer
            seen.append((type(optimizer).__name__, len(optimizer.state)))

    trainer = make_trainer(
        plan=phases_of(OWN_WAYS), folder=tmp_path / "r", trainer={"callbacks": [Watch()]}
    )
    trainer.train()
    assert seen == [("SGD", 0), ("Adam", 0), ("AdamW", 0)]
    steps = len(trainer.train_loader)
    rates = [line["lr"] for line in read_lines(tmp_path / "r/steps.jsonl")]
    for number, rate in enumerate(rates[: 2 * steps]):  # a whole cosine over two epochs
        factor = (1 + math.cos(math.pi * number / (2 * steps))) / 2
        assert rate == pytest.approx({"head": 0.1 * factor})
    for number, rate in enumerate(rates[2 * steps : 4 * steps]):
        assert rate == pytest.approx(
            dict.fromkeys(("stage2", "head"), 1e-2 / 2 ** (number // steps))
        )
    assert rates[-1] == pytest.approx(dict.fromkeys((*STAGES, "head"), 1e-3))


def test_an_optimizer_that_stays_the_same_keeps_its_momentum_over_phases(make_trainer):
    seen = []

    class Watch(Callback):
        def on_phase_begin(self, trainer, phase):
            seen.append(len(trainer.steps.optimizer.state))

    plan = phases_of("head:1 lr=0.1 schedule=cosine / all:1 lr=0.01")
    make_trainer(plan=plan, optimizer="sgd", trainer={"callbacks": [Watch()]}).train()
    assert seen[0] == 0 < seen[1]


@pytest.mark.parametrize("moment", [3, 13, 20, 27])
def test_a_run_killed_in_any_phase_of_its_own_ways_resumes_to_the_same_weights(
    make_trainer, tmp_path, moment
):
    class Kill(Callback):
        left = moment

        def on_batch_end(self, trainer, line):
            self.left -= 1
            if not self.left:
                raise Killed

    plan = phases_of(OWN_WAYS)
    whole = make_trainer(plan=plan, folder=tmp_path / "whole")
    whole.train()
    with pytest.raises(Killed):
        make_trainer(plan=plan, folder=tmp_path / "r", trainer={"callbacks": [Kill()]}).train()
    resumed = make_trainer(plan=plan, folder=tmp_path / "r", trainer={"resume": True})
    resumed.train()
    assert same(state(whole), state(resumed))
    assert whole.position == resumed.position
    # The epoch that the kill cut short has its lines twice.
    rates = [
        {line["step"]: line["lr"] for line in read_lines(tmp_path / run / "steps.jsonl")}
        for run in ("whole", "r")
    ]
    assert rates[0] == rates[1]


def test_a_run_killed_while_it_saves_resumes_to_the_same_weights(
    make_trainer, tmp_path, monkeypatch
):
    import graft.training.checkpoints as module

    whole = make_trainer(epochs=3, folder=tmp_path / "whole")
    whole.train()
    write, calls = module.save_file, []

    def killed_half_way(tensors, path):
        calls.append(path)
        if len(calls) == 6:  # in the middle of the third checkpoint
            path.write_bytes(b"half")
            raise Killed
        write(tensors, path)

    monkeypatch.setattr(module, "save_file", killed_half_way)
    with pytest.raises(Killed):
        make_trainer(epochs=3, folder=tmp_path / "r").train()
    monkeypatch.undo()
    resumed = make_trainer(epochs=3, folder=tmp_path / "r", trainer={"resume": True})
    resumed.train()
    assert same(state(whole), state(resumed))


class Explodes:
    """Returns a loss that is not finite at some steps, and cross-entropy at the others."""

    def __init__(self, steps, times):
        self.steps, self.left = steps, times

    def __call__(self, model, batch, progress):
        losses = CrossEntropy()(model, batch, progress)
        if progress.step in self.steps and self.left:
            self.left -= 1
            return {name: loss * float("nan") for name, loss in losses.items()}
        return losses


def test_a_nan_is_seen_before_the_step_and_the_run_goes_on_more_slowly(make_trainer, tmp_path):
    said = []

    class Hear(Callback):
        def on_message(self, words):
            said.append(words)

    trainer = make_trainer(
        epochs=2,
        folder=tmp_path / "r",
        trainer={"objective": Explodes({7}, 1), "callbacks": [Hear()]},
    )
    trainer.train()
    assert all(torch.isfinite(tensor).all() for tensor in state(trainer).values())
    assert trainer.position.rate_scale == pytest.approx(0.1)
    assert said[0].startswith("the loss became nan")
    assert "learning rates x 0.1" in said[0]
    lines = list(read_lines(tmp_path / "r/steps.jsonl"))
    assert [line["step"] for line in lines] == [*range(1, len(lines) + 1)]
    rates = [line["lr"]["head"] for line in lines]
    assert max(rates[7:]) <= 0.1 * max(rates[:7]) * 1.5


def test_a_nan_that_returns_stops_the_run_with_what_to_do(make_trainer, tmp_path):
    trainer = make_trainer(
        epochs=2, folder=tmp_path / "r", trainer={"objective": Explodes(range(99), 99)}
    )
    with pytest.raises(DivergedError, match="Lower --lr") as caught:
        trainer.train()
    assert caught.value.exit_code == 5
    assert all(torch.isfinite(tensor).all() for tensor in state(trainer).values())


def test_a_validation_loss_that_is_not_finite_is_rolled_back_as_well(make_trainer, tmp_path):
    class Poisons:
        """Ruins the head after the last loss of the first epoch, once."""

        done = False

        def __call__(self, model, batch, progress):
            losses = CrossEntropy()(model, batch, progress)
            if progress.step == 5 and not self.done:
                self.done = True
                model.head.linear.bias.data.fill_(float("inf"))
            return losses

    trainer = make_trainer(epochs=2, folder=tmp_path / "r", trainer={"objective": Poisons()})
    trainer.train()
    assert all(torch.isfinite(tensor).all() for tensor in state(trainer).values())
    assert trainer.position.rate_scale == pytest.approx(0.1)


def test_the_training_loss_is_the_mean_over_images_not_over_batches(make_trainer, tmp_path):
    class PerBatch:
        """A loss of 1 for each image of a batch of 8 and 2 for each of a smaller one."""

        def __init__(self):
            self.sizes = []

        def __call__(self, model, batch, progress):
            self.sizes.append(len(batch))
            value = 1.0 if len(batch) == 8 else 2.0
            return {"constant": model(batch.inputs).sum() * 0 + value}

    objective: Objective = PerBatch()
    trainer = make_trainer(epochs=1, folder=tmp_path / "r", trainer={"objective": objective})
    trainer.train_loader.balanced = False
    trainer.train()
    line = list(read_lines(tmp_path / "r/metrics.jsonl"))[-1]
    sizes = objective.sizes
    assert len(set(sizes)) > 1
    expected = sum(size * (1 if size == 8 else 2) for size in sizes) / sum(sizes)
    assert line["train_loss"] == pytest.approx(expected)


def test_early_stopping_ends_a_phase_without_gain(make_trainer):
    trainer = make_trainer("scratch", epochs=30, early_stopping=2, lr=1e-12)
    trainer.train()
    assert trainer.position.epoch == 3


def test_gradual_on_a_plateau_moves_on_when_nothing_improves(make_trainer):
    options = StrategyOptions(unfreeze_on_plateau=1, head_start="random")
    trainer = make_trainer("gradual", epochs=9, strategy_options=options, lr=1e-12)
    trainer.train()
    assert [len(audit["frozen"]) for audit in trainer.position.audits] == [3, 2, 1, 0]
    assert trainer.position.epoch == 9


def test_only_the_newest_and_the_best_checkpoint_stay(make_trainer, tmp_path):
    trainer = make_trainer(epochs=4, folder=tmp_path / "r")
    trainer.train()
    names = {path.name for path in (tmp_path / "r/checkpoints").iterdir()}
    best = trainer.position.best
    assert names == {f"step-{trainer.position.step}", f"step-{best.step}"}


def test_the_metrics_have_a_line_per_epoch_with_the_keys_of_the_design(make_trainer, tmp_path):
    trainer = make_trainer("two-phase", epochs=3, folder=tmp_path / "r")
    trainer.train()
    lines = list(read_lines(tmp_path / "r/metrics.jsonl"))
    assert [line["epoch"] for line in lines] == [0, 1, 2, 3]
    keys = {"phase", "train_loss", "val_loss", "val_accuracy", "lr", "seconds", "best"}
    assert all(keys <= set(line) for line in lines[1:])
    assert lines[0]["probe"]["C"] > 0
    json.dumps(lines, allow_nan=False)


def test_a_solved_head_is_not_beaten_by_gradient_steps_on_its_own_loss(make_trainer):
    trainer = make_trainer("probe", epochs=0)
    trainer.train()
    outputs = trainer.solved_outputs
    loss = torch.nn.functional.cross_entropy(outputs.values, outputs.targets)
    assert loss < 1.0986  # what guessing among three classes costs


def test_a_phase_is_judged_by_its_own_best_result_not_by_that_of_an_earlier_one(make_trainer):
    # The solved head is better than anything two slow epochs of a random plan can reach after it.
    phases = (
        Phase("head", "solve", 0, {"head": 1.0}),
        Phase("wreck", "gradient", 1, dict.fromkeys((*STAGES, "head"), 20.0)),
        Phase("mend", "gradient", 9, dict.fromkeys((*STAGES, "head"), 0.3), patience=1),
    )
    plan = Plan("custom", STAGES, phases, 10)
    trainer, snapshots = watched(make_trainer, plan=plan, schedule="constant")
    trainer.train()
    mending = [line for line, _ in snapshots.states if line["phase"] == "mend"]
    assert len(mending) >= 2, "the first mended epoch counts as gain"


def test_a_run_killed_between_metrics_and_checkpoint_keeps_one_line_per_epoch(
    make_trainer, tmp_path, monkeypatch
):
    from graft.run import keep_lines
    from graft.training.checkpoints import Checkpoints

    save, calls = Checkpoints.save, []

    def killed(self, *arguments):
        calls.append(1)
        if len(calls) == 3:
            raise Killed
        return save(self, *arguments)

    monkeypatch.setattr(Checkpoints, "save", killed)
    with pytest.raises(Killed):
        make_trainer(epochs=3, folder=tmp_path / "r").train()
    monkeypatch.undo()
    resumed = make_trainer(epochs=3, folder=tmp_path / "r", trainer={"resume": True})
    keep_lines(tmp_path / "r/metrics.jsonl", resumed.position.step)
    resumed.train()
    epochs = [line["epoch"] for line in read_lines(tmp_path / "r/metrics.jsonl")]
    assert epochs == [0, 1, 2, 3]
