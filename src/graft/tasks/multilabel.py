"""Multi-label classification: any number of labels per image, each a yes or no of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from graft.config import TrainingOptions
from graft.data.manifest import Manifest, Sample
from graft.data.target import MULTILABEL, join_names, names_of
from graft.errors import DataError, nearest
from graft.evaluation import multilabel as evaluation
from graft.evaluation.diagnosis import diagnose_score
from graft.files import to_cell
from graft.inference import Outputs, require_finite
from graft.model_folder import ClassName
from graft.plugins import Share, Strict
from graft.probe.multilabel import solve_labels
from graft.probe.solve import Solution
from graft.tasks.objectives import BinaryCrossEntropy, Mixup, Objective
from graft.tasks.solving import FrozenFeatures
from graft.tasks.task import Score, Solved, Task

UNLABELLED = -1.0
"""Target of every label of an image of which nothing is known."""


class MultilabelRecord(Strict):
    """What `Multilabel.record` returns."""

    name: Literal["multilabel"]
    labels: Annotated[list[ClassName], Field(min_length=1, max_length=1 << 20)]
    thresholds: Annotated[list[Share], Field(min_length=1, max_length=1 << 20)]

    @property
    def outputs(self) -> int:
        """What the head gives for each image."""
        return len(self.labels)

    @model_validator(mode="after")
    def _one_of_each(self) -> MultilabelRecord:
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("a label is there twice")
        if len(self.thresholds) != len(self.labels):
            raise ValueError(f"{len(self.thresholds)} thresholds for {len(self.labels)} labels")
        return self


@dataclass(frozen=True)
class LabelsPrediction:
    """What a model says about the labels of one image.

    Args:
        path: The image's path, or a name for one that is no file.
        label: The labels that it has, sorted and joined by ";", as in a table; "" for none.
        confidence: The smallest of their probabilities; None where it has none.
        labels: The labels that it has with their probabilities, most probable first.
        top: The most probable labels, whether it has them or not, best first.
    """

    path: str
    label: str
    confidence: float | None
    labels: tuple[tuple[str, float], ...]
    top: tuple[tuple[str, float], ...]

    @property
    def summary(self) -> tuple[str, ...]:
        """The labels, each with its probability in percent."""
        return tuple(f"{name} {share:.1%}" for name, share in self.labels) or ("no label",)


@dataclass(frozen=True)
class Multilabel:
    """Any number of labels per image: a sigmoid for each.

    Args:
        labels: Their names in the order of the logits.
        thresholds: Probability from which on an image is said to have each label. 0.5 until
            `tuned` chooses them on validation images.

    Example:
        >>> task = Multilabel(("striped", "winged"))
        >>> task.targets([Sample("a.jpg", "winged"), Sample("b.jpg", "")]).tolist()
        [[0.0, 1.0], [0.0, 0.0]]
        >>> task.prediction("a.jpg", torch.tensor([0.2, 0.8])).label
        'winged'
    """

    labels: tuple[str, ...]
    thresholds: tuple[float, ...] = ()

    name: ClassVar[str] = "multilabel"
    metric: ClassVar[str] = "mAP"
    Record: ClassVar[type[Strict]] = MultilabelRecord

    def __post_init__(self) -> None:
        thresholds = tuple(self.thresholds) or (evaluation.THRESHOLD,) * len(self.labels)
        if len(thresholds) != len(self.labels):
            raise ValueError(f"{len(thresholds)} thresholds for {len(self.labels)} labels")
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "thresholds", thresholds)

    @classmethod
    def of(cls, manifest: Manifest) -> Multilabel:
        """Return the task of a data set: the labels that its training images have."""
        return cls(manifest.classes)

    @property
    def outputs(self) -> int:
        """The number of labels."""
        return len(self.labels)

    def targets(self, samples: Sequence[object]) -> Tensor:
        """Return 1 where a sample has a label and 0 where not, float32 of shape (N, labels).

        What is no `Sample` has -1 everywhere; a sample without a label has none of them.

        Raises:
            DataError: A label is not one of the task's.
        """
        position = {name: index for index, name in enumerate(self.labels)}
        found = torch.full((len(samples), self.outputs), UNLABELLED)
        for row, sample in zip(found, samples, strict=True):
            if not isinstance(sample, Sample):
                continue
            row.zero_()
            for name in names_of(sample.label, MULTILABEL):
                if name not in position:
                    raise DataError(
                        f"'{name}', a label of '{sample.path}', is not a label of the model.",
                        f"It knows {nearest(name, self.labels)}; rename the label or remove it.",
                    )
                row[position[name]] = 1
        return found

    def objective(self, options: TrainingOptions, train: Sequence[object]) -> Objective:
        """Return binary cross-entropy with the options' smoothing and weights, perhaps with Mixup.

        Balanced weights count the images that have a label (images without) / (images with) times.
        """
        weights = None
        if options.class_weights == "balanced":
            with_label = self.targets(train).clamp(min=0).sum(dim=0)
            weights = (len(train) - with_label).clamp(min=1) / with_label.clamp(min=1)
        objective: Objective = BinaryCrossEntropy(options.label_smoothing, weights)
        return Mixup(objective, self.outputs, options.mixup) if options.mixup else objective

    def solve(self, features: FrozenFeatures) -> Solved:
        """Fit a logistic regression per label; see `graft.probe.multilabel.solve_labels`."""
        fit = partial(solve_labels, seed=features.seed, balanced=features.balanced)
        solution, used = features.fit(fit)
        return Solved(solution, used, self._describe(solution, features.train.targets))

    def _describe(self, solution: Solution, targets: Tensor) -> dict[str, Any]:
        varies = (targets != targets[0]).any(dim=0).tolist()
        return {
            "C": solution.C,
            "Cs": {name: part.C for name, part in zip(self.labels, solution.parts, strict=True)},
            "at_edge": solution.at_edge,
            "tried": max(len(part.scores) for part in solution.parts),
            "folds": solution.folds,
            "images": solution.images,
            "loss": solution.scores.get(solution.C),
            # A label that every image has, or none, says nothing about the features.
            "constant": any(varies)
            and all(part.constant for part, v in zip(solution.parts, varies, strict=True) if v),
        }

    def score(self, outputs: Outputs) -> Score:
        """Return the mean average precision, and the mean binary cross-entropy as its loss."""
        return Score(
            evaluation.mean_average_precision(outputs.values, outputs.targets),
            evaluation.mean_loss(outputs.values, outputs.targets),
        )

    def tuned(self, validation: Outputs) -> Task:
        """Return the task with the thresholds that give each label its best F1 on validation."""
        shares = self.activate(validation.values)
        return replace(self, thresholds=evaluation.best_thresholds(shares, validation.targets))

    def metrics(self, outputs: Outputs) -> dict[str, Any]:
        """Return what `graft.evaluation.multilabel.metrics` does."""
        values = require_finite(outputs.values, "The model's outputs")
        return evaluation.metrics(
            values, outputs.targets, self.labels, self.thresholds, outputs.identities
        )

    def diagnose(self, train: Mapping[str, Any], val: Mapping[str, Any]) -> dict[str, Any]:
        """Compare the mAP of both; one that guesses gets the labels' share of the images."""
        support = [each["support"] for each in val["per_label"].values() if each["support"]]
        guessed = sum(support) / len(support) / val["images"] if support else 0.0
        return diagnose_score(self.metric, train, val, guessed=guessed, learned=0.9)

    def activate(self, outputs: Tensor) -> Tensor:
        """Return probabilities (N, labels): sigmoid in double precision, to six places.

        Raises:
            DataError: An output is not finite.
        """
        return evaluation.probabilities(require_finite(outputs, "The model's outputs"))

    def prediction(self, path: str, row: Tensor, *, top: int = 5) -> LabelsPrediction:
        """Return the labels whose probability reaches their threshold, of one row (labels,)."""
        values, order = row.sort(descending=True, stable=True)
        ranked = [
            (self.labels[index], value, value >= self.thresholds[index])
            for index, value in zip(order.tolist(), values.tolist(), strict=True)
        ]
        has = tuple((name, share) for name, share, reached in ranked if reached)
        return LabelsPrediction(
            path,
            join_names(name for name, _ in has),
            min((share for _, share in has), default=None),
            has,
            tuple((name, share) for name, share, _ in ranked[:top]),
        )

    def table(self, samples: Sequence[Sample], values: Tensor) -> Iterator[Sequence[object]]:
        """Yield the columns, then for each image its labels, the predicted ones, and all p."""
        yield ["labels", "prediction", "correct", *(f"p({to_cell(n)})" for n in self.labels)]
        for sample, row in zip(samples, self.activate(values), strict=True):
            found = self.prediction(sample.path, row).label
            names = to_cell(sample.label), to_cell(found)
            yield [*names, found == sample.label, *row.tolist()]

    def record(self) -> dict[str, Any]:
        """Return the task's name, its labels and their thresholds."""
        return {
            "name": self.name,
            "labels": list(self.labels),
            "thresholds": list(self.thresholds),
        }
