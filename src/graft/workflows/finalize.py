"""The end of a run: what it found, measured once more on clean images and written down."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from graft.data.manifest import Manifest, Sample
from graft.errors import DivergedError
from graft.evaluation.diagnosis import diagnose
from graft.evaluation.intervals import Tally
from graft.evaluation.metrics import DENSE_CLASSES
from graft.files import atomic_write, to_cell
from graft.inference import Outputs, probabilities, require_finite
from graft.inference import run as run_over
from graft.machine import Stopwatch
from graft.report.html import write_report
from graft.run import Run, now
from graft.tasks import Classification
from graft.training import Trainer

TRAIN_IMAGES_FOR_DIAGNOSIS = 1000
"""Most training images on which the diagnosis measures; more would only narrow its interval."""

TOP = 5
"""Most probable classes in the table of predictions, where there are too many for all."""

NOTHING_TOLD_APART = (
    "The features of all training images are the same, so the solved head tells nothing apart and "
    "gives every image the classes' frequencies. Check that the images are not blank, and that the "
    "backbone's weights are not zero."
)


def finalize(
    run: Run,
    trainer: Trainer,
    manifest: Manifest,
    warnings: Sequence[str],
    watch: Stopwatch,
    *,
    state: Literal["done", "interrupted"],
) -> dict[str, Any]:
    """Measure the best classifier and write model, predictions, result and report.

    The test images are looked at once, and only by a run that is done.

    Returns:
        The document that `graft fit --json` prints. Its "probe" says how a solved head was found:
        see `graft.tasks.classification.describe`; it is None where the plan solves none.
    """
    classifier, task = trainer.model, trainer.model.task
    assert isinstance(task, Classification)
    assert trainer.val_loader is not None, "a run is measured on validation images"
    val_samples = manifest.subset("val")
    test_samples = manifest.subset("test") if state == "done" else ()
    with watch("evaluate"):
        val = _checked(
            trainer.best_outputs or run_over(classifier, trainer.val_loader), val_samples
        )
        test = (
            _checked(run_over(classifier, classifier.loader(test_samples)), test_samples)
            if test_samples
            else None
        )
        validation = task.metrics(val)
        tested = task.metrics(test) if test else None
        train = _on_training_images(trainer, manifest)
    classifier.save(run.model)
    outputs = [("val", val_samples, val)] + ([("test", test_samples, test)] if test else [])
    _write_predictions(run.predictions, task.classes, outputs)
    best = trainer.position.best
    assert best is not None, "a run is concluded once it has a result"
    results_compared = len(trainer.position.scores) + trainer.position.solved
    if (trainer.position.probe or {}).get("constant"):
        trainer.notify("on_message", NOTHING_TOLD_APART)
        warnings = [*warnings, NOTHING_TOLD_APART]
    plan = trainer.plan.to_dict(trainer.lr, classifier.count_parameters())
    result = {
        "run": str(run.folder),
        "backbone": classifier.backbone.name,
        "strategy": trainer.plan.strategy,
        "classes": list(task.classes),
        "plan": plan,
        "train_images": len(manifest.subset("train")),
        "val_images": len(val_samples),
        "test_images": len(manifest.subset("test")),
        "val_distinct_images": validation["distinct_images"],
        "test_distinct_images": tested and tested["distinct_images"],
        "val_accuracy": validation["accuracy"],
        "val_interval": validation["interval"],
        "test_accuracy": tested and tested["accuracy"],
        "test_interval": tested and tested["interval"],
        "selected_on": "validation" if results_compared > 1 else None,
        "best_epoch": best.epoch,
        "probe": trainer.position.probe,
        "trainable_parameters": max(p["trainable_parameters"] for p in plan["phases"]),
        "seconds": watch.seconds(["data", "extract", "train", "evaluate"]),
        "diagnosis": diagnose(_tally(train), _tally(val), classes=task.outputs),
        "batch_norm": trainer.plan.batch_norm,
        "set_aside": len(manifest.set_aside),
        "warnings": list(warnings),
    }
    run.update(
        state=state,
        finished=now(),
        result=result,
        validation=validation,
        test=tested,
        audits=trainer.position.audits,
        cache=trainer.cache.records(),
    )
    write_report(run.folder)
    return result


def _checked(outputs: Outputs, samples: Sequence[Sample]) -> Outputs:
    """Return finite outputs together with which images are copies of each other.

    Raises:
        DivergedError: The outputs are not finite.
    """
    require_finite(
        outputs.values,
        "The trained model's outputs",
        hint="Lower --lr, train with --precision fp32, or take other weights.",
        error=DivergedError,
    )
    return replace(outputs, identities=tuple(sample.identity for sample in samples))


def _on_training_images(trainer: Trainer, manifest: Manifest) -> Outputs:
    """Return the best classifier's outputs on clean views of training images, at most 1,000."""
    best, samples = trainer.position.best, manifest.subset("train")
    if best is not None and best.epoch == 0 and trainer.solved_outputs is not None:
        return _checked(trainer.solved_outputs, samples)
    chosen = sorted(samples, key=lambda sample: sample.sha256)[:TRAIN_IMAGES_FOR_DIAGNOSIS]
    clean = trainer.source.clean
    assert clean is not None, "a run trains on a loader's images"
    loader = trainer.model.loader(chosen, workers=clean.workers, pixels=clean.pixels)
    return _checked(run_over(trainer.model, loader), chosen)


def _tally(outputs: Outputs) -> Tally:
    right = outputs.values.argmax(dim=1) == outputs.targets
    return Tally.of(right.tolist(), outputs.identities)


def _write_predictions(
    path: Path,
    classes: Sequence[str],
    outputs: Sequence[tuple[str, Sequence[Sample], Outputs]],
) -> None:
    """Write `predictions.csv`: per image of validation and test what was predicted.

    Names are written as `to_cell` has them. With the probability of each class, or, of more than
    100, of the five most probable ones.
    """
    many = len(classes) > DENSE_CLASSES
    shares = [f"{what} {rank}" for rank in range(1, TOP + 1) for what in ("class", "p")]
    head = ["path", "split", "label", "prediction", "confidence", "correct"]
    # File names need not be valid text: their bytes are written as they are.
    with (
        atomic_write(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow([*head, *(shares if many else (f"p({to_cell(name)})" for name in classes))])
        for split, samples, output in outputs:
            rows = (row for part in torch.split(output.values, 1024) for row in probabilities(part))
            for sample, row in zip(samples, rows, strict=True):
                best = int(row.argmax())
                names = [sample.path, split, sample.label, classes[best]]
                facts = [float(row[best]), classes[best] == sample.label]
                each = _top(row, classes) if many else row.tolist()
                writer.writerow([*map(to_cell, names), *facts, *each])


def _top(row: Tensor, classes: Sequence[str]) -> list[str | float]:
    """Return the most probable classes, each followed by its probability."""
    values, order = row.sort(descending=True, stable=True)
    named = zip(order[:TOP].tolist(), values[:TOP].tolist(), strict=True)
    return [cell for index, value in named for cell in (to_cell(classes[index]), value)]
