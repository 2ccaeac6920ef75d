"""Tasks: what an example is, what its target is, and how predictions are scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graft.data.manifest import Manifest
from graft.model_folder import checked_part
from graft.plugins import TASKS
from graft.tasks.classification import Classification, Prediction
from graft.tasks.multilabel import LabelsPrediction, Multilabel
from graft.tasks.objectives import (
    BinaryCrossEntropy,
    CrossEntropy,
    Mixup,
    Network,
    Objective,
    Progress,
    SquaredError,
    streams_of,
)
from graft.tasks.regression import NumberPrediction, Regression
from graft.tasks.solving import FrozenFeatures
from graft.tasks.task import PredictionRecord, Score, Solved, Task

__all__ = [
    "BinaryCrossEntropy",
    "Classification",
    "CrossEntropy",
    "FrozenFeatures",
    "LabelsPrediction",
    "Mixup",
    "Multilabel",
    "Network",
    "NumberPrediction",
    "Objective",
    "Prediction",
    "PredictionRecord",
    "Progress",
    "Regression",
    "Score",
    "Solved",
    "SquaredError",
    "Task",
    "build_task",
    "streams_of",
    "table_of",
    "task_of",
]


def task_of(manifest: Manifest, name: str | None = None) -> Task:
    """Return the task of a data set, with its classes, labels or numbers.

    Args:
        manifest: With its splits; the training images decide.
        name: A registered task; None takes the one that the table says.

    Raises:
        RecipeError: It is not installed.
    """
    task: Task = TASKS.find(name or manifest.task).of(manifest)
    return task


def table_of(name: str | None) -> str | None:
    """Return which kind of table a task reads: its own, or what its class says in `reads`.

    Example:
        >>> table_of("multilabel"), table_of(None)
        ('multilabel', None)
    """
    return None if name is None else str(getattr(TASKS.find(name), "reads", name))


def build_task(record: Mapping[str, Any]) -> Task:
    """Return the task that a `record()` describes.

    Args:
        record: "name" and the arguments of that task.

    Raises:
        DataError: The task is not installed, or the arguments do not fit it.

    Example:
        >>> build_task({"name": "classification", "classes": ["ants", "bees"]}).outputs
        2
    """
    checked_part(record, TASKS, "name", "The record of the task")
    options = dict(record)
    task: Task = TASKS[options.pop("name")](**options)
    return task
