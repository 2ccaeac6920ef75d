"""`graft predict`: what a classifier says about files, folders and globs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from graft.data.layout import find_images
from graft.host import isolated_steps
from graft.inference import Predictor
from graft.inference import Unreadable as Unreadable
from graft.model import Model


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
    loaded = model if isinstance(model, Model) else Model.load(model)
    images = find_images(paths)
    with Predictor(loaded, workers=workers) as predictor:
        yield from predictor.stream(images, top=top)
