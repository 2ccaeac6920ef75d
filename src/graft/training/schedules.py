"""Learning-rate schedules: a factor that follows from the step alone.

One curve over the whole run, or over a phase that has a schedule of its own, which the loop
multiplies with each stage's own rate; so a stage that is unfrozen in the middle of the run joins
the same curve. Every curve is a closed form of the schedule that PyTorch has under the same name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from graft.strategies.optimization import OptimizerOptions

WARMUP_FROM = 1e-3
"""A warm-up rises from here rather than from 0, so that no step is wasted."""

RISE, START, END = 0.3, 1 / 25, 1e-4
"""One cycle: share of the run in which the rate rises, the factor at its start, and the last
factor as a share of the first. Smith and Topin 2018, arXiv:1708.07120; PyTorch's defaults."""

GAIN, LEAST_DROP = 1e-4, 1e-8
"""Plateau: relative gain that counts as one, and the smallest drop that is worth making."""


@dataclass(frozen=True)
class Schedule:
    """The learning-rate factor at each step of a run.

    Args:
        options: `schedule`, `warmup` (epochs), `step_every` or `step_at` (epochs), `step_factor`,
            `cosine_epochs`, `restart_every` (epochs), `restart_mult`, `min_lr`, `patience`
            (epochs).
        epochs: Epochs of the run.
        steps_per_epoch: Optimizer steps of an epoch.

    Example:
        >>> schedule = Schedule(OptimizerOptions(schedule="cosine"), epochs=2, steps_per_epoch=2)
        >>> [round(schedule.factor(step), 3) for step in range(5)]
        [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    options: OptimizerOptions
    epochs: int
    steps_per_epoch: int

    def factor(self, step: int, scores: Sequence[float] = (), rate: float = 1.0) -> float:
        """Return the factor of an optimizer step.

        Args:
            step: Steps done before it.
            scores: Validation score of each epoch so far, which the plateau schedule follows.
            rate: The learning rate that it multiplies, which does not fall below `min_lr`.
        """
        total = max(1, self.epochs * self.steps_per_epoch)
        warmup = min(round(self.options.warmup * self.steps_per_epoch), total - 1)
        lowest = min(1.0, self.options.min_lr / rate)
        if step >= warmup:
            return self._main(step - warmup, total - warmup, scores, lowest)
        rise = WARMUP_FROM + (1 - WARMUP_FROM) * step / warmup
        one_cycle = self.options.schedule == "one-cycle"
        return rise * (START if one_cycle else self._main(0, total, scores, lowest))

    def _main(self, step: int, steps: int, scores: Sequence[float], lowest: float) -> float:
        options, per_epoch = self.options, self.steps_per_epoch
        if options.schedule == "step" and options.step_at is not None:
            return options.step_factor ** sum(step >= at * per_epoch for at in options.step_at)
        if options.schedule == "step":
            return options.step_factor ** (step // (options.step_every * per_epoch))
        if options.schedule == "cosine":
            length = options.cosine_epochs * per_epoch if options.cosine_epochs else steps
            return _cosine(1.0, lowest, step / length)
        if options.schedule == "warm-restarts":
            cycle = options.restart_every * per_epoch
            return _cosine(1.0, lowest, _in_cycle(step, cycle, options.restart_mult))
        if options.schedule == "one-cycle":
            return _one_cycle(step, steps)
        if options.schedule == "plateau":
            return _plateau(scores, options.step_factor, options.patience, lowest)
        return 1.0


def _in_cycle(step: int, cycle: int, longer: int) -> float:
    """Return how much of its cycle a step has behind it, each `longer` times the one before."""
    while longer > 1 and step >= cycle:
        step, cycle = step - cycle, cycle * longer
    return step % cycle / cycle


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


def _one_cycle(step: int, steps: int) -> float:
    top = RISE * (steps + 1) - 1
    if step <= top:
        return _cosine(START, 1.0, step / top)
    return _cosine(1.0, START * END, (step - top) / (steps - top))


def _plateau(scores: Sequence[float], drop: float, patience: int, lowest: float) -> float:
    factor, best, stale = 1.0, -math.inf, 0
    for score in scores:
        if score > best * (1 + GAIN):
            best, stale = score, 0
        else:
            stale += 1
        if stale > patience:
            stale = 0
            dropped = max(factor * drop, lowest)
            factor = dropped if factor - dropped > LEAST_DROP else factor
    return factor
