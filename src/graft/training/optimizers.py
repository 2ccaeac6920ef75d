"""Optimizers: every parameter from step 0, a group for each stage, rates set by plan and step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from graft.config import TrainingOptions
from graft.strategies import STRATEGIES, Phase
from graft.strategies.optimization import OptimizerOptions

WEIGHT_DECAY = {"sgd": 1e-4, "adam": 0.0, "adamw": 0.05}
"""Weight decay of each optimizer where the recipe gives none."""

LEARNING_RATE = {"sgd": 1e-2, "adam": 3e-4, "adamw": 3e-4}
"""Learning rate of each optimizer for pre-trained weights, where the recipe gives none."""


def learning_rate(options: TrainingOptions, strategy: str) -> float:
    """Return the recipe's learning rate, or the default of its optimizer and strategy.

    Example:
        >>> learning_rate(TrainingOptions(), "full"), learning_rate(TrainingOptions(), "scratch")
        (0.0003, 0.0009)
    """
    if options.lr is not None:
        return options.lr
    scale = STRATEGIES[strategy].lr_scale if strategy in STRATEGIES else 1.0
    return float(f"{LEARNING_RATE[options.optimizer] * scale:.1g}")


class Staged(Protocol):
    """A network whose parameters are grouped by stage, as those of a `Model` are."""

    def parameters_by_stage(self) -> Mapping[str, Sequence[nn.Parameter]]:
        """Return every parameter under its stage."""


def build_optimizer(network: Staged, options: OptimizerOptions) -> Optimizer:
    """Build the recipe's optimizer over every parameter, frozen or not.

    The groups carry their stage as `"stage"`. Norms and biases (tensors of fewer than two
    dimensions) form a second group of each stage, without weight decay.

    Args:
        network: The model; `requires_grad` plays no role, a parameter without a gradient is
            skipped by the step.
        options: `optimizer`, `momentum`, `nesterov`, `weight_decay`.
    """
    decay = options.weight_decay
    if decay is None:
        decay = WEIGHT_DECAY[options.optimizer]
    groups = []
    for stage, parameters in network.parameters_by_stage().items():
        for matrices, rate in ((True, decay), (False, 0.0)):
            chosen = [p for p in parameters if (p.ndim > 1) is matrices]
            if chosen:
                groups.append({"params": chosen, "stage": stage, "lr": 0.0, "weight_decay": rate})
    if options.optimizer == "sgd":
        return SGD(groups, momentum=options.momentum, nesterov=options.nesterov)
    return Adam(groups) if options.optimizer == "adam" else AdamW(groups)


def set_rates(
    optimizer: Optimizer,
    phase: Phase,
    rate: float,
    factor: Callable[[float], float] = lambda rate: 1.0,
) -> None:
    """Set every group's learning rate.

    Args:
        optimizer: Its groups carry their stage.
        phase: Gives the multiplier of each stage that trains.
        rate: That of a multiplier of 1.
        factor: The schedule's, which may depend on a stage's own rate.
    """
    for group in optimizer.param_groups:
        own = rate * phase.multipliers.get(group["stage"], 0.0)
        group["lr"] = own * factor(own) if own else 0.0


def rates(optimizer: Optimizer, phase: Phase) -> dict[str, float]:
    """Read the learning rate of each stage that trains out of the optimizer itself."""
    return {
        group["stage"]: group["lr"]
        for group in optimizer.param_groups
        if phase.trains(group["stage"])
    }
