"""`graft evaluate`: how good a model is on labelled images it has not seen."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from graft.data.manifest import Manifest
from graft.data.scan import scan
from graft.data.target import CLASSIFICATION, COLUMNS
from graft.errors import DataError
from graft.host import isolated
from graft.inference import Predictor
from graft.model import Model
from graft.workflows.finalize import unleaked


@isolated()
def evaluate(
    model: str | os.PathLike[str] | Model,
    data: str | os.PathLike[str],
    *,
    split: str | None = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """Measure a model on a folder or table of labelled images.

    Args:
        model: A run folder, a model folder, or a model.
        data: `<class>/…`, `train/val[/test]/<class>/…`, or a CSV. Classes are matched by name.
        split: Of a data set with splits: `train`, `val` or `test`. None means the test split where
            there is one, else validation, else all images.
        workers: Threads that decode; None means one per core.

    Returns:
        What the `metrics` of the model's task return, and `task`, `metric`, `split`, `set_aside`
        (each with its reason). Test images that training or validation of the same data has are
        left out: `excluded` says how many, and `with_leaks` has the metrics with them, or None.

    Raises:
        DataError: The model cannot be loaded, no image can be read, the images are labelled for
            another task, or a label is unknown to the model.
    """
    classifier = model if isinstance(model, Model) else Model.load(model)
    task = getattr(classifier.task, "reads", classifier.task.name)
    manifest = scan(data, task=task)
    if manifest.task != task:
        raise DataError(
            f"The model does {task}, and '{data}' is labelled for {manifest.task}.",
            f"Give a CSV with the columns path and {COLUMNS.get(task, 'label')}"
            f"{', or a folder of images per class' if task == CLASSIFICATION else ''}.",
        )
    chosen = _choose(manifest, split)
    samples = manifest.subset(chosen)
    if not samples:
        raise DataError(
            f"'{data}' holds no readable image to evaluate on.",
            "Give a folder with one folder of images per class.",
        )
    with Predictor(classifier, workers=workers) as predictor:
        made = predictor.outputs(samples)
    outputs = replace(made, identities=tuple(sample.content for sample in samples))
    leaked = manifest.leaked(chosen) if chosen == "test" else []
    found, with_leaks = unleaked(classifier.task, outputs, leaked)
    if found is None:
        raise DataError(
            f"Every test image of '{data}' is also in training or validation, so nothing says how "
            "good the model is on new images.",
            "Give a folder of new images.",
        )
    return {
        **found,
        "split": chosen or "all",
        "excluded": sum(leaked),
        "with_leaks": with_leaks,
        "set_aside": [
            {"path": str(Path(sample.path)), "reason": sample.state}
            for sample in manifest.set_aside
        ],
    }


def _choose(manifest: Manifest, split: str | None) -> str:
    there = {sample.split for sample in manifest.readable}
    if split is not None:
        if split not in there:
            raise DataError(
                f"'{manifest.root}' has no split '{split}'.",
                f"It has {', '.join(sorted(filter(None, there))) or 'none'}.",
            )
        return split
    return next((name for name in ("test", "val", "", "train") if name in there), "")
