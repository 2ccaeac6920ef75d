"""A plan: which layers learn, when, and how fast, as plain data.

A strategy is a word; a plan is what the word means for one backbone and one number of epochs. It
holds no tensors, so it can be printed, stored and tested without torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from graft.errors import RecipeError
from graft.strategies.optimization import read_settings

HEAD = "head"
"""The name under which the head appears among the stages of a plan."""

Method = Literal["solve", "gradient"]
BatchNormPolicy = Literal["eval", "train"]


@dataclass(frozen=True)
class Phase:
    """A stretch of training during which the same stages learn.

    Args:
        name: What a person calls it, for instance `"head + stage4"`.
        method: `"solve"` fits a linear head to convergence on frozen features; `"gradient"` runs
            epochs of an optimizer.
        epochs: Most epochs of the phase; 0 for a solved one.
        multipliers: Learning-rate multiplier of each stage that trains, `"head"` included. A stage
            that is not named is frozen.
        patience: The phase ends early after this many epochs without a better validation result;
            None means that it lasts all its epochs.
        settings: Options of the optimizer and the schedule (`OptimizerOptions`) in which the phase
            differs from the run. A schedule among them runs over this phase's epochs alone; another
            optimizer than that of the phase before begins afresh.

    Raises:
        RecipeError: The settings are none of these options.

    Example:
        >>> phase = Phase("head + stage4", "gradient", 2, {"stage4": 0.5, "head": 1.0})
        >>> phase.trains("stage3"), phase.trains("head")
        (False, True)
    """

    name: str
    method: Method
    epochs: int
    multipliers: Mapping[str, float]
    patience: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.settings.keys() & {"lr", "precision"}:
            raise RecipeError(
                f"A phase has no {name} of its own among its settings.",
                "Its learning rates are its multipliers times that of the run.",
            )
        read_settings(self.settings)

    def trains(self, stage: str) -> bool:
        """Say whether `stage` (or `"head"`) learns in this phase."""
        return stage in self.multipliers


@dataclass(frozen=True)
class Plan:
    """The phases that a strategy becomes for one backbone.

    Args:
        strategy: The strategy's name.
        stages: The backbone's stages in execution order, without the head.
        phases: What happens, in order.
        epochs: Gradient epochs of the whole run at most. Phases that end on a plateau share them.
        batch_norm: `"eval"` keeps the BatchNorm statistics of every stage as they came;
            `"train"` lets those of the stages that train follow the batches. Frozen stages never
            move theirs.

    Example:
        >>> plan = Plan("probe", ("stem", "stage1"), (Phase("head", "solve", 0, {"head": 1.0}),), 0)
        >>> plan.frozen(plan.phases[0]), plan.cut(plan.phases[0])
        (('stem', 'stage1'), 'head')
    """

    strategy: str
    stages: tuple[str, ...]
    phases: tuple[Phase, ...]
    epochs: int
    batch_norm: BatchNormPolicy = "eval"

    def trained(self, phase: Phase) -> tuple[str, ...]:
        """Return what learns in `phase`, in execution order, the head last."""
        return tuple(name for name in (*self.stages, HEAD) if phase.trains(name))

    def frozen(self, phase: Phase) -> tuple[str, ...]:
        """Return the stages that must not change in `phase`, in execution order."""
        return tuple(name for name in self.stages if not phase.trains(name))

    def cut(self, phase: Phase) -> str:
        """Return the lowest stage that trains in `phase`, or `"head"`: below it nothing changes."""
        return self.trained(phase)[0]

    def to_dict(self, lr: float, parameters: Mapping[str, int]) -> dict[str, Any]:
        """Return the plan as JSON-ready data with absolute learning rates.

        Args:
            lr: The run's learning rate, that of a multiplier of 1 at the schedule's factor 1.
            parameters: Number of parameters of each stage and of `"head"`.
        """
        return {
            "strategy": self.strategy,
            "stages": list(self.stages),
            "batch_norm": self.batch_norm,
            "epochs": self.epochs,
            "parameters": sum(parameters.values()),
            "phases": [
                {
                    "name": phase.name,
                    "method": phase.method,
                    "epochs": phase.epochs,
                    "until": None
                    if phase.patience is None
                    else {"plateau": {"patience": phase.patience}},
                    "settings": dict(phase.settings),
                    "learning_rates": {}
                    if phase.method == "solve"
                    else {name: lr * phase.multipliers[name] for name in self.trained(phase)},
                    "trains": list(self.trained(phase)),
                    "frozen": list(self.frozen(phase)),
                    "trainable_parameters": sum(parameters[name] for name in self.trained(phase)),
                }
                for phase in self.phases
            ],
        }
