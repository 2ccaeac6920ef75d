"""Promises of the schedules: closed forms that draw the curves of PyTorch's schedulers."""

from __future__ import annotations

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import SGD, lr_scheduler

from graft.strategies.optimization import OptimizerOptions
from graft.training import Schedule

pytestmark = pytest.mark.numeric

NAMES = ["constant", "step", "cosine", "warm-restarts", "one-cycle", "plateau"]


def drawn_by_torch(options, epochs, per_epoch, scores, lr=1.0):
    """Return the factor at each step as PyTorch's own schedulers give it, one after the other."""
    total = epochs * per_epoch
    warmup = min(round(options.warmup * per_epoch), total - 1)
    optimizer, drops = (SGD([torch.zeros(1)], lr=lr) for _ in range(2))
    main = {
        "step": lambda: (
            lr_scheduler.StepLR(optimizer, options.step_every * per_epoch, options.step_factor)
            if options.step_at is None
            else lr_scheduler.MultiStepLR(
                optimizer, [at * per_epoch for at in options.step_at], options.step_factor
            )
        ),
        "cosine": lambda: lr_scheduler.CosineAnnealingLR(
            optimizer,
            options.cosine_epochs * per_epoch if options.cosine_epochs else total - warmup,
            eta_min=options.min_lr,
        ),
        "warm-restarts": lambda: lr_scheduler.CosineAnnealingWarmRestarts(
            optimizer,
            options.restart_every * per_epoch,
            options.restart_mult,
            eta_min=options.min_lr,
        ),
        # One step more than the run has: PyTorch's refuses to move past its last one.
        "one-cycle": lambda: lr_scheduler.OneCycleLR(
            optimizer, max_lr=lr, total_steps=total - warmup + 1, cycle_momentum=False
        ),
    }.get(options.schedule, lambda: lr_scheduler.ConstantLR(optimizer, 1.0, 0))()
    if warmup:
        rise = lr_scheduler.LinearLR(optimizer, 1e-3, 1.0, total_iters=warmup)
        main = lr_scheduler.SequentialLR(optimizer, [rise, main], [warmup])
    plateau = lr_scheduler.ReduceLROnPlateau(
        drops,
        mode="max",
        factor=options.step_factor,
        patience=options.patience,
        min_lr=options.min_lr if options.schedule == "plateau" else 0.0,
    )
    for step in range(total):
        yield optimizer.param_groups[0]["lr"] * drops.param_groups[0]["lr"] / lr
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the optimizer never steps
            main.step()
        if (step + 1) % per_epoch == 0 and options.schedule == "plateau":
            plateau.step(scores[step // per_epoch])


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(NAMES),
    st.sampled_from([0.0, 0.5, 1.0, 2.5]),
    st.integers(1, 12),
    st.integers(1, 7),
    st.sampled_from([0.1, 0.5, 0.9]),
    st.integers(1, 4),
    st.data(),
)
def test_the_factor_of_a_step_is_that_of_pytorchs_scheduler(
    name, warmup, epochs, per_epoch, drop, every, data
):
    options = OptimizerOptions(
        schedule=name,
        warmup=warmup,
        step_every=every,
        step_factor=drop,
        restart_every=every,
        patience=every,
    )
    score = st.one_of(st.floats(0, 1), st.sampled_from([0.5, 0.50004, 0.5001]))
    scores = data.draw(st.lists(score, min_size=epochs, max_size=epochs))
    schedule = Schedule(options, epochs, per_epoch)
    for step, expected in enumerate(drawn_by_torch(options, epochs, per_epoch, scores)):
        factor = schedule.factor(step, scores[: step // per_epoch])
        assert factor == pytest.approx(expected, rel=1e-9, abs=1e-15)


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from(["warm-restarts", "cosine", "step", "plateau"]),
    st.integers(1, 20),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from([0.0, 1e-5, 1e-3]),
    st.sampled_from([1e-4, 1e-2, 1.0]),
    st.lists(st.integers(1, 20), min_size=1, max_size=3, unique=True).map(sorted),
    st.data(),
)
def test_restarts_milestones_and_lowest_rates_are_pytorchs(
    name, epochs, per_epoch, every, mult, lowest, lr, milestones, data
):
    options = OptimizerOptions(
        schedule=name,
        restart_every=every,
        restart_mult=mult,
        cosine_epochs=every,
        step_at=tuple(milestones),
        min_lr=min(lowest, lr),
        patience=1,
    )
    scores = data.draw(st.lists(st.floats(0, 1), min_size=epochs, max_size=epochs))
    schedule = Schedule(options, epochs, per_epoch)
    for step, expected in enumerate(drawn_by_torch(options, epochs, per_epoch, scores, lr)):
        rate = lr * schedule.factor(step, scores[: step // per_epoch], lr)
        # PyTorch multiplies from step to step, which adds up rounding.
        assert rate == pytest.approx(expected, rel=1e-6, abs=2e-8)


def test_a_rate_below_the_lowest_stays_where_it_is():
    schedule = Schedule(OptimizerOptions(schedule="cosine", min_lr=1e-4), 3, 4)
    assert {schedule.factor(step, rate=1e-5) for step in range(12)} == {1.0}


@pytest.mark.parametrize("name", NAMES)
def test_a_factor_follows_from_the_step_alone(name):
    schedule = Schedule(OptimizerOptions(schedule=name, warmup=1), epochs=3, steps_per_epoch=4)
    forwards = [schedule.factor(step) for step in range(12)]
    assert [schedule.factor(step) for step in reversed(range(12))] == forwards[::-1]
