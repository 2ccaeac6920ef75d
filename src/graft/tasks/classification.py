"""Classification: one label per image, out of a list of classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from graft.config import TrainingOptions
from graft.data.manifest import Manifest, Sample
from graft.errors import DataError, nearest
from graft.evaluation.diagnosis import diagnose
from graft.evaluation.intervals import Tally
from graft.evaluation.metrics import DENSE_CLASSES, accuracy, mean_loss, metrics
from graft.files import to_cell
from graft.inference import Outputs, probabilities, require_finite
from graft.model_folder import ClassificationRecord
from graft.plugins import Strict
from graft.probe.baselines import knn, prototypes
from graft.probe.solve import Solution, solve
from graft.tasks.objectives import CrossEntropy, Mixup, Objective
from graft.tasks.solving import FrozenFeatures
from graft.tasks.task import Score, Solved, Task

UNLABELLED = -1
"""Target of an image without a label."""

TOP = 5
"""Most probable classes in the table of predictions, where there are too many for all."""

NEIGHBOURS = 10
"""Training images that vote on a validation image, where a solved head is described."""

NEIGHBOURS_AMONG = 1000
"""Among more training images, to find them would take more than a twentieth of the solve's time."""


@dataclass(frozen=True)
class Prediction:
    """A classifier's prediction of one image.

    Args:
        path: The image's path, or a name for one that is no file.
        label: The most probable class.
        confidence: Its probability, 0 to 1.
        top: The most probable classes with their probabilities, best first.
    """

    path: str
    label: str
    confidence: float
    top: tuple[tuple[str, float], ...]

    @property
    def summary(self) -> tuple[str, ...]:
        """The class, and its probability in percent."""
        return self.label, f"{self.confidence:.1%}"


@dataclass(frozen=True)
class Classification:
    """One label per image, out of a list of classes.

    Args:
        classes: Class names in the order of the logits; a sample's label is matched by name.

    Example:
        >>> task = Classification(("ants", "bees"))
        >>> task.targets([Sample("a.jpg", "bees"), Sample("b.jpg", "")]).tolist()
        [1, -1]
        >>> task.prediction("a.jpg", torch.tensor([0.2, 0.8])).label
        'bees'
    """

    classes: tuple[str, ...]

    Record: ClassVar[type[Strict]] = ClassificationRecord
    name: ClassVar[str] = "classification"
    metric: ClassVar[str] = "accuracy"

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))

    @classmethod
    def of(cls, manifest: Manifest) -> Classification:
        """Return the task of a data set: the classes of its training images."""
        return cls(manifest.classes)

    @property
    def outputs(self) -> int:
        """The number of classes."""
        return len(self.classes)

    def targets(self, samples: Sequence[object]) -> Tensor:
        """Return the position of each sample's class, int64 of shape (N,); -1 without a label.

        Raises:
            DataError: A label is not one of the classes.
        """
        position = {name: index for index, name in enumerate(self.classes)}
        found = []
        for sample in samples:
            label = sample.label if isinstance(sample, Sample) else ""
            if label and label not in position:
                assert isinstance(sample, Sample), "only a sample has a label"
                raise DataError(
                    f"'{label}', the label of '{sample.path}', is not a class of the model.",
                    f"It knows {nearest(label, self.classes)}; rename the folder or remove it.",
                )
            found.append(position[label] if label else UNLABELLED)
        return torch.tensor(found, dtype=torch.int64)

    def objective(self, options: TrainingOptions, train: Sequence[object]) -> Objective:
        """Return cross-entropy with the options' smoothing and class weights, perhaps with Mixup.

        Balanced weights are N / (classes * images of the class), as in scikit-learn.
        """
        weights = None
        if options.class_weights == "balanced":
            counts = Counter(sample.label for sample in train if isinstance(sample, Sample))
            total = counts.total()
            weights = torch.tensor([total / (self.outputs * counts[name]) for name in self.classes])
        objective: Objective = CrossEntropy(options.label_smoothing, weights)
        return Mixup(objective, self.outputs, options.mixup) if options.mixup else objective

    def solve(self, features: FrozenFeatures) -> Solved:
        """Fit multinomial logistic regression; see `graft.probe.solve.solve`."""
        fit = partial(solve, classes=self.outputs, seed=features.seed, balanced=features.balanced)
        solution, used = features.fit(fit)
        return Solved(solution, used, describe(solution, features.train, features.val))

    def score(self, outputs: Outputs) -> Score:
        """Return the accuracy, and the mean cross-entropy in nats as its loss."""
        return Score(
            accuracy(outputs.values, outputs.targets), mean_loss(outputs.values, outputs.targets)
        )

    def tuned(self, validation: Outputs) -> Task:
        """Return the task as it is: the most probable class needs no threshold."""
        return self

    def metrics(self, outputs: Outputs) -> dict[str, Any]:
        """Return what `graft.evaluation.metrics.metrics` does."""
        return metrics(outputs.values, outputs.targets, self.classes, outputs.identities)

    def diagnose(self, train: Mapping[str, Any], val: Mapping[str, Any]) -> dict[str, Any]:
        """Return what `graft.evaluation.diagnosis.diagnose` does."""
        return diagnose(Tally.read(train), Tally.read(val), classes=self.outputs)

    def activate(self, outputs: Tensor) -> Tensor:
        """Return probabilities (N, classes): softmax in double precision, to six places.

        Raises:
            DataError: An output is not finite.
        """
        return probabilities(require_finite(outputs, "The model's outputs"))

    def prediction(self, path: str, row: Tensor, *, top: int = 5) -> Prediction:
        """Return the most probable classes of one row of probabilities (classes,)."""
        values, order = row.sort(descending=True, stable=True)
        ranked = tuple(
            (self.classes[index], value)
            for index, value in zip(order[:top].tolist(), values[:top].tolist(), strict=True)
        )
        return Prediction(path, ranked[0][0], ranked[0][1], ranked)

    def table(self, samples: Sequence[Sample], values: Tensor) -> Iterator[Sequence[object]]:
        """Yield the columns, then for each image its class, the predicted one and probabilities.

        Of each class, or, of more than 100, of the five most probable ones.
        """
        many = self.outputs > DENSE_CLASSES
        shares = [f"{what} {rank}" for rank in range(1, TOP + 1) for what in ("class", "p")]
        each = shares if many else [f"p({to_cell(name)})" for name in self.classes]
        yield ["label", "prediction", "confidence", "correct", *each]
        rows = (row for part in torch.split(values, 1024) for row in self.activate(part))
        for sample, row in zip(samples, rows, strict=True):
            found = self.prediction(sample.path, row, top=TOP)
            facts = found.confidence, found.label == sample.label
            top = [cell for name, share in found.top for cell in (to_cell(name), share)]
            names = to_cell(sample.label), to_cell(found.label)
            yield [*names, *facts, *(top if many else row.tolist())]

    def record(self) -> dict[str, Any]:
        """Return the task's name and its classes."""
        return {"name": self.name, "classes": list(self.classes)}


def describe(solution: Solution, train: Outputs, val: Outputs) -> dict[str, Any]:
    """Say how a head was chosen, and how right one is that learns nothing on the same features.

    Args:
        solution: The head.
        train: Features of the clean training images.
        val: Features of the validation images.

    Returns:
        JSON-ready: "C" (the inverse L2 penalty C), "at_edge" (whether it is the first or
        the last of those offered), "tried" (how many Cs were), "folds" and "images" (by
        which it was chosen; 0 where there was nothing to choose by), "loss" (cross-validated, in
        nats per image, or None), "temperature" (by which the logits were divided), "constant"
        (whether the features are the same for every image, so that nothing is learned),
        "prototypes" and "knn": the validation accuracy of the nearest class mean and of the 10
        nearest training images' vote, the latter None where there are more than 1,000 of them.
    """
    features, labels = train.values.numpy(), train.targets.numpy()
    asked, classes = val.values.numpy(), len(solution.bias)
    votes = None
    if len(features) <= NEIGHBOURS_AMONG:
        votes = knn(features, labels, asked, classes, k=NEIGHBOURS)
    means = prototypes(features, labels, asked, classes)
    return {
        "C": solution.C,
        "at_edge": solution.at_edge,
        "tried": len(solution.scores),
        "folds": solution.folds,
        "images": solution.images,
        "loss": solution.scores.get(solution.C),
        "temperature": solution.temperature,
        "constant": solution.constant,
        "prototypes": accuracy(torch.from_numpy(means), val.targets),
        "knn": None if votes is None else accuracy(torch.from_numpy(votes), val.targets),
    }
