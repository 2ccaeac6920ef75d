"""Regression: a number per image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import floor, isfinite, log10
from statistics import fmean, pstdev
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from graft.config import TrainingOptions
from graft.data.manifest import Manifest, Sample
from graft.data.target import number_of
from graft.errors import DataError, RecipeError
from graft.evaluation import regression as evaluation
from graft.evaluation.diagnosis import diagnose_score
from graft.inference import Outputs, require_finite
from graft.plugins import Strict
from graft.probe.ridge import solve_ridge
from graft.tasks.objectives import Objective, SquaredError
from graft.tasks.solving import FrozenFeatures
from graft.tasks.task import Score, Solved, Task

DIGITS = 6
"""Places to which numbers are shown, counted from the first one of their spread."""


class RegressionRecord(Strict):
    """What `Regression.record` returns."""

    name: Literal["regression"]
    mean: float
    std: Annotated[float, Field(gt=0)]

    @property
    def outputs(self) -> int:
        """What the head gives for each image."""
        return 1


@dataclass(frozen=True)
class NumberPrediction:
    """What a model says about the number of one image.

    Args:
        path: The image's path, or a name for one that is no file.
        value: The number, in the units of the table that it was learned from.
    """

    path: str
    value: float

    @property
    def summary(self) -> tuple[str, ...]:
        """The number."""
        return (f"{self.value:g}",)


@dataclass(frozen=True)
class Regression:
    """A number per image.

    The network learns standardised numbers, (value - mean) / std, so that learning rates and
    weight decay mean the same whatever the unit; `activate` turns its outputs into values.

    Args:
        mean: Of the values of the training images.
        std: Their standard deviation, above 0.

    Example:
        >>> task = Regression(mean=10.0, std=2.0)
        >>> task.targets([Sample("a.jpg", "12.0")]).tolist()
        [1.0]
        >>> task.prediction("a.jpg", task.activate(torch.tensor([[1.5]]))[0]).value
        13.0
    """

    mean: float = 0.0
    std: float = 1.0

    name: ClassVar[str] = "regression"
    metric: ClassVar[str] = "R2"
    outputs: ClassVar[int] = 1
    Record: ClassVar[type[Strict]] = RegressionRecord

    def __post_init__(self) -> None:
        if not (isfinite(self.mean) and isfinite(self.std) and self.std > 0):
            raise ValueError(f"numbers with the mean {self.mean} and the deviation {self.std}")

    @classmethod
    def of(cls, manifest: Manifest) -> Regression:
        """Return the task of a data set, standardised by its training images."""
        values = [float(sample.label) for sample in manifest.subset("train")]
        return cls(fmean(values), pstdev(values) or 1.0)

    def targets(self, samples: Sequence[object]) -> Tensor:
        """Return the standardised number of each sample, float32 of shape (N,); NaN without one.

        Raises:
            DataError: A label is no number.
        """
        return torch.tensor([self._target(sample) for sample in samples], dtype=torch.float32)

    def _target(self, sample: object) -> float:
        if not isinstance(sample, Sample) or not sample.label:
            return float("nan")
        try:
            return (number_of(sample.label) - self.mean) / self.std
        except ValueError:
            raise DataError(
                f"'{sample.path}' has '{sample.label}', which is no number.",
                "Give a table with the column value.",
            ) from None

    def objective(self, options: TrainingOptions, train: Sequence[object]) -> Objective:
        """Return the mean squared error of standardised numbers.

        Raises:
            RecipeError: Class weights, label smoothing or Mixup were asked for.
        """
        default = TrainingOptions.model_fields["label_smoothing"].default
        asked = {
            "--class-weights balanced weighs classes": options.class_weights != "none",
            "--label-smoothing spreads a label over classes": options.label_smoothing
            not in (default, 0),
            "--mixup blends labels": options.mixup > 0,
        }
        for what, meant in asked.items():
            if meant:
                raise RecipeError(
                    f"{what}, and the task is regression: an image has a number.",
                    "Leave the option out.",
                )
        return SquaredError()

    def solve(self, features: FrozenFeatures) -> Solved:
        """Fit ridge regression; see `graft.probe.ridge.solve_ridge`."""
        solution, used = features.fit(partial(solve_ridge, seed=features.seed))
        record = {
            "C": solution.C,
            "at_edge": solution.at_edge,
            "tried": len(solution.scores),
            "folds": solution.folds,
            "images": solution.images,
            "loss": solution.scores.get(solution.C),
            "constant": solution.constant,
        }
        return Solved(solution, used, record)

    def score(self, outputs: Outputs) -> Score:
        """Return R2, None where all numbers are equal, and the mean squared error as its loss."""
        return Score(
            evaluation.r2(outputs.values, outputs.targets),
            evaluation.mean_squared_error(outputs.values, outputs.targets),
        )

    def tuned(self, validation: Outputs) -> Task:
        """Return the task as it is: there is nothing to choose."""
        return self

    def metrics(self, outputs: Outputs) -> dict[str, Any]:
        """Return what `graft.evaluation.regression.metrics` does, in the units of the table.

        Its `loss` alone is that of training: the mean squared error of standardised numbers, 1 for
        a model that always says the training images' mean.
        """
        require_finite(outputs.values, "The model's outputs")
        found = evaluation.metrics(
            self._in_units(outputs.values), self._in_units(outputs.targets), outputs.identities
        )
        score = self.score(outputs)
        return {**found, "R2": score.value, "loss": score.loss}

    def diagnose(self, train: Mapping[str, Any], val: Mapping[str, Any]) -> dict[str, Any]:
        """Compare the R2 of both; one that always says the mean gets 0."""
        return diagnose_score(self.metric, train, val, guessed=0.0, learned=0.5)

    def activate(self, outputs: Tensor) -> Tensor:
        """Return values (N, 1) in the units of the table, to a millionth of their spread.

        Raises:
            DataError: An output is not finite.
        """
        require_finite(outputs, "The model's outputs")
        return self._in_units(outputs).round(decimals=DIGITS - floor(log10(self.std)))

    def _in_units(self, standardised: Tensor) -> Tensor:
        return standardised.double() * self.std + self.mean

    def prediction(self, path: str, row: Tensor, *, top: int = 5) -> NumberPrediction:
        """Return the number of one row of `activate`, shape (1,)."""
        return NumberPrediction(path, float(row))

    def table(self, samples: Sequence[Sample], values: Tensor) -> Iterator[Sequence[object]]:
        """Yield the columns, then for each image its number, the predicted one and the residual."""
        yield ["value", "prediction", "residual"]
        for sample, row in zip(samples, self.activate(values), strict=True):
            found = float(row)
            yield [sample.label, found, found - float(sample.label)]

    def record(self) -> dict[str, Any]:
        """Return the task's name and how its numbers are standardised."""
        return {"name": self.name, "mean": self.mean, "std": self.std}
