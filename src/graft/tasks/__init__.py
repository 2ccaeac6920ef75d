"""Tasks: what an example is, what its target is, and how predictions are scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graft.model_folder import checked_part
from graft.plugins import TASKS
from graft.tasks.classification import Classification, Prediction
from graft.tasks.objectives import CrossEntropy, Mixup, Network, Objective, Progress, streams_of
from graft.tasks.task import PredictionRecord, Score, Solved, Task

__all__ = [
    "Classification",
    "CrossEntropy",
    "Mixup",
    "Network",
    "Objective",
    "Prediction",
    "PredictionRecord",
    "Progress",
    "Score",
    "Solved",
    "Task",
    "build_task",
    "streams_of",
]


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
