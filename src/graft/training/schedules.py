"""Learning-rate schedules: one factor over the whole run, drawn by torch's own schedulers.

The scheduler moves a stand-in optimizer with a rate of 1. What comes out is a pure factor, which
the loop multiplies with each stage's own rate; so a stage that thaws in the middle of the run
joins the same curve, and no scheduler is rebuilt between phases.
"""

from __future__ import annotations

import warnings

import torch
from torch.optim import SGD, lr_scheduler

from graft.config import OptimizerOptions


class Schedule:
    """The learning-rate factor at each step of a run.

    Args:
        options: `schedule`, `warmup` (epochs), `step_every` (epochs), `step_factor`,
            `restart_every` (epochs), `patience` (epochs).
        epochs: Epochs of the run.
        steps_per_epoch: Optimizer steps of an epoch.

    Example:
        >>> schedule = Schedule(OptimizerOptions(schedule="cosine"), epochs=2, steps_per_epoch=2)
        >>> factors = [schedule.factor]
        >>> for _ in range(4):
        ...     schedule.step()
        ...     factors.append(schedule.factor)
        >>> [round(factor, 3) for factor in factors]
        [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    def __init__(self, options: OptimizerOptions, *, epochs: int, steps_per_epoch: int) -> None:
        self._optimizer = _stand_in()
        total = max(1, epochs * steps_per_epoch)
        warmup = min(round(options.warmup * steps_per_epoch), total - 1)
        main = self._main(options, total - warmup, steps_per_epoch)
        if warmup:
            # A rise from 0.1 % rather than 0, so that no step is wasted.
            rise = lr_scheduler.LinearLR(self._optimizer, 1e-3, 1.0, total_iters=warmup)
            main = lr_scheduler.SequentialLR(self._optimizer, [rise, main], [warmup])
        self._scheduler = main
        self._drops = _stand_in()
        self._plateau = lr_scheduler.ReduceLROnPlateau(
            self._drops, mode="max", factor=options.step_factor, patience=options.patience
        )
        self._watches = options.schedule == "plateau"

    def _main(
        self, options: OptimizerOptions, steps: int, steps_per_epoch: int
    ) -> lr_scheduler.LRScheduler:
        optimizer = self._optimizer
        if options.schedule == "step":
            return lr_scheduler.StepLR(
                optimizer, options.step_every * steps_per_epoch, options.step_factor
            )
        if options.schedule == "cosine":
            return lr_scheduler.CosineAnnealingLR(optimizer, steps)
        if options.schedule == "warm-restarts":
            return lr_scheduler.CosineAnnealingWarmRestarts(
                optimizer, options.restart_every * steps_per_epoch
            )
        if options.schedule == "one-cycle":
            # One step more than the run has: torch's scheduler refuses to move past its last one.
            return lr_scheduler.OneCycleLR(
                optimizer, max_lr=1.0, total_steps=steps + 1, cycle_momentum=False
            )
        return lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0)

    @property
    def factor(self) -> float:
        """The factor of the next optimizer step."""
        return float(self._optimizer.param_groups[0]["lr"] * self._drops.param_groups[0]["lr"])

    def step(self) -> None:
        """Move on by one optimizer step."""
        with warnings.catch_warnings():
            # The stand-in optimizer never steps, and SequentialLR passes an epoch to itself.
            warnings.simplefilter("ignore", UserWarning)
            self._scheduler.step()

    def epoch_end(self, accuracy: float) -> None:
        """Tell the plateau schedule an epoch's validation accuracy in [0, 1]."""
        if self._watches:
            self._plateau.step(accuracy)


def _stand_in() -> SGD:
    return SGD([torch.zeros(1)], lr=1.0)
