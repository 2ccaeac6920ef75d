"""The task: what an example is, what its target is, and how predictions are scored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from graft.config import TrainingOptions
from graft.data.manifest import Sample
from graft.inference import Outputs
from graft.probe.solve import Solution
from graft.tasks.objectives import Objective
from graft.tasks.solving import FrozenFeatures


@dataclass(frozen=True)
class Score:
    """How good a model's outputs are: what results are compared by.

    Args:
        value: The task's metric; higher is better. None where the images leave it undefined.
        loss: Decides between equal values; lower is better.

    Example:
        >>> Score(0.9, 0.30).beats(Score(0.9, 0.31)), Score(0.9, 0.3).beats(None)
        (True, True)
    """

    value: float | None
    loss: float

    def beats(self, other: Score | None) -> bool:
        """Say whether this is the better one: by value, then by loss."""
        return other is None or self._rank > other._rank

    @property
    def _rank(self) -> tuple[float, float]:
        return (-inf if self.value is None else self.value, -self.loss)


@dataclass(frozen=True)
class Solved:
    """A head that was fitted to convergence on frozen features.

    Args:
        solution: Its weights, which `install` writes into a linear head.
        views: Number of augmented views that it was fitted on, besides the clean one.
        record: How it was found, JSON-ready: "probe" in `run.json`.
    """

    solution: Solution
    views: int
    record: dict[str, Any]


class PredictionRecord(Protocol):
    """The prediction of one image; a dataclass whose fields are `graft predict`'s keys."""

    @property
    def path(self) -> str:
        """The image's path, or a name for one that is no file."""

    @property
    def summary(self) -> tuple[str, ...]:
        """What the command line prints of it after the path, a cell each."""


@runtime_checkable
class Task(Protocol):
    """What an example is, what its target is, and how predictions are scored.

    A task is immutable: a frozen dataclass. Everything else calls its methods and none asks for its
    name, so one loop, one predictor and one report serve every task.
    """

    @property
    def name(self) -> str:
        """Such as "classification"."""

    @property
    def metric(self) -> str:
        """Name of the one score by which results are compared, such as "accuracy"."""

    @property
    def outputs(self) -> int:
        """Numbers that a head gives for each image."""

    def targets(self, samples: Sequence[object]) -> Tensor:
        """Return the targets of N samples.

        Args:
            samples: A `Sample` has its target as text, in `label`; anything else has none.

        Returns:
            Shape (N, ...), ready for the objective; -1 or NaN where there is no target.

        Raises:
            DataError: A label is none that the task knows.
        """

    def objective(self, options: TrainingOptions, train: Sequence[object]) -> Objective:
        """Return what training minimises.

        Args:
            options: Label smoothing, class weights, Mixup.
            train: The training samples, which class weights are counted from.
        """

    def solve(self, features: FrozenFeatures) -> Solved | None:
        """Fit a linear head to convergence on frozen features; None where that is not possible."""

    def score(self, outputs: Outputs) -> Score:
        """Return the one score of a model's outputs on labelled images."""

    def tuned(self, validation: Outputs) -> Task:
        """Return the task with what follows from validation, such as decision thresholds."""

    def metrics(self, outputs: Outputs) -> dict[str, Any]:
        """Return everything that `graft evaluate` reports, JSON-ready.

        Intervals count distinct images, as `outputs.identities` distinguishes them.
        """

    def diagnose(self, train: Mapping[str, Any], val: Mapping[str, Any]) -> dict[str, Any]:
        """Return what two documents of `metrics` mean together.

        Args:
            train: Of clean training images.
            val: Of validation images.

        Returns:
            At least `verdict`, `evidence` and `next`, in words; see `graft.evaluation.diagnosis`.
        """

    def activate(self, outputs: Tensor) -> Tensor:
        """Turn a head's outputs (N, outputs) into what is shown and stored, such as probabilities.

        In double precision and rounded, so that equal numbers look equal.
        """

    def prediction(self, path: str, row: Tensor, *, top: int = 5) -> PredictionRecord:
        """Return the prediction of one image.

        Args:
            path: The image's path, or a name.
            row: Its row of `activate`, shape (outputs,).
            top: Most answers to name.
        """

    def table(self, samples: Sequence[Sample], values: Tensor) -> Iterator[Sequence[object]]:
        """Yield the columns of `predictions.csv` after path and split, then a row for each image.

        Args:
            samples: The images.
            values: The model's outputs for them, shape (N, outputs).
        """

    def record(self) -> dict[str, Any]:
        """Return "name" and what `graft.tasks.build_task` needs to make this task again."""
