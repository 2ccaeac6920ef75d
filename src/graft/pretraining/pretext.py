"""The pretext task: it trains a backbone, through a head that is not kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

import torch
from torch import Tensor

from graft.backbones.backbone import Backbone
from graft.config import TrainingOptions
from graft.errors import RecipeError
from graft.inference import Outputs
from graft.pretraining.recipe import PretrainOptions
from graft.strategies import HEAD, Phase, Plan
from graft.tasks import FrozenFeatures, Objective
from graft.training.optimizers import LEARNING_RATE

FROM_NOTHING = 10
"""Random weights bear a learning rate so many times that of pre-trained ones."""


@dataclass(frozen=True)
class Pretext:
    """A task that has only an objective: the outputs of its head are of no use afterwards.

    Args:
        loss: What pre-training minimises.
    """

    loss: Objective

    name: ClassVar[str] = "pretext"
    metric: ClassVar[str] = "known"
    outputs: ClassVar[int] = 0

    def targets(self, samples: Sequence[object]) -> Tensor:
        """Return -1 for each of N samples: nothing is known of them."""
        return torch.full((len(samples),), -1)

    def objective(self, options: TrainingOptions, train: Sequence[object]) -> Objective:
        """Return what pre-training minimises."""
        return self.loss

    def solve(self, features: FrozenFeatures) -> None:
        """Return None: nothing can be solved."""

    def score(self, outputs: Outputs) -> NoReturn:
        """Refuse."""
        _refuse()

    def tuned(self, validation: Outputs) -> Pretext:
        """Return the task as it is."""
        return self

    def metrics(self, outputs: Outputs) -> NoReturn:
        """Refuse."""
        _refuse()

    def diagnose(self, train: Mapping[str, Any], val: Mapping[str, Any]) -> NoReturn:
        """Refuse."""
        _refuse()

    def table(self, samples: Sequence[object], values: Tensor) -> NoReturn:
        """Refuse."""
        _refuse()

    def activate(self, outputs: Tensor) -> NoReturn:
        """Refuse."""
        _refuse()

    def prediction(self, path: str, row: Tensor, *, top: int = 5) -> NoReturn:
        """Refuse."""
        _refuse()

    def record(self) -> dict[str, Any]:
        """Return the name alone: such a model is saved without its head."""
        return {"name": self.name}


def _refuse() -> NoReturn:
    raise RecipeError(
        "A pretext task has no answers of its own.",
        "Train a head on the backbone: graft fit DIR --backbone RUN.",
    )


def pretraining_plan(backbone: Backbone, epochs: int) -> Plan:
    """Return the plan of pre-training: every stage and the head by gradient, at one rate.

    Args:
        backbone: Gives the stages.
        epochs: Epochs of the run.
    """
    stages = tuple(stage.name for stage in backbone.stages)
    phase = Phase("pre-training", "gradient", epochs, dict.fromkeys((*stages, HEAD), 1.0))
    return Plan("pretrain", stages, (phase,), epochs, batch_norm="train")


def learning_rate(options: PretrainOptions, *, fresh: bool) -> float:
    """Return the recipe's learning rate, or the default of its optimizer and start.

    Args:
        options: `lr`, `optimizer`.
        fresh: Whether the backbone's weights are random, which allows a higher rate.

    Example:
        >>> learning_rate(PretrainOptions(), fresh=True)
        0.003
    """
    if options.lr is not None:
        return options.lr
    return float(f"{LEARNING_RATE[options.optimizer] * (FROM_NOTHING if fresh else 1):.1g}")
