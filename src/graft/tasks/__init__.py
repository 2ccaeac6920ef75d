"""Tasks: what an example is, what the network owes it, and how its answers are judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graft.errors import DataError
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

_TASKS: Mapping[Any, type[Task]] = {"classification": Classification}


def build_task(record: Mapping[str, Any]) -> Task:
    """Return the task that a `record()` describes.

    Args:
        record: "name" and the arguments of that task.

    Raises:
        DataError: The task is unknown, or the arguments do not fit it.

    Example:
        >>> build_task({"name": "classification", "classes": ["ants", "bees"]}).outputs
        2
    """
    options = dict(record)
    name = options.pop("name", None)
    try:
        return _TASKS[name](**options)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"The task {dict(record)!r} is none that this Graft knows.",
            f"It knows {', '.join(_TASKS)}; update Graft, or repeat the run.",
        ) from error
