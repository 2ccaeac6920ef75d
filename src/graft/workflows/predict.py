"""`graft predict`: what a classifier says about files, folders and globs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from graft.data.find import find_images
from graft.inference import forward
from graft.isolation import isolated_steps
from graft.model import Model


@dataclass(frozen=True)
class Unreadable:
    """An image that could not be predicted.

    Args:
        path: Where it is.
        reason: Why it cannot be read.
    """

    path: str
    reason: str


@isolated_steps
def predict(
    model: str | os.PathLike[str] | Model,
    paths: Sequence[str | os.PathLike[str]],
    *,
    top: int = 5,
    workers: int | None = None,
) -> Iterator[Any]:
    """Predict images as they are read, in order.

    Args:
        model: A run folder, a model folder, or a model.
        paths: Image files, folders (searched with their subfolders) and globs.
        top: Most probable classes to name.
        workers: Threads that decode; None means one per core.

    Yields:
        A prediction per image, of the kind that the model's task makes, or an `Unreadable`.

    Raises:
        DataError: The model cannot be loaded, or a path leads to no image.
    """
    classifier = model if isinstance(model, Model) else Model.load(model)
    images = find_images(paths)
    failures: dict[int, str] = {}
    loader = classifier.loader(images, workers=workers, failures=failures)
    waiting = 0
    for batch, outputs in forward(classifier, loader.epoch(0)):
        rows = dict(zip(batch.indices.tolist(), classifier.task.activate(outputs), strict=True))
        while waiting in rows or waiting in failures:
            name = str(images[waiting])
            if waiting in failures:
                yield Unreadable(name, failures[waiting])
            else:
                yield classifier.task.prediction(name, rows[waiting], top=top)
            waiting += 1
    for index in range(waiting, len(images)):
        yield Unreadable(str(images[index]), failures[index])
