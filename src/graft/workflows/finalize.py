"""The end of a run: what it found, measured once more on clean images and written down."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any, Literal

from graft.data.manifest import Manifest, Sample
from graft.errors import DivergedError
from graft.evaluation.diagnosis import for_strategy
from graft.evaluation.intervals import Tally, unpaired
from graft.files import atomic_write, to_cell
from graft.inference import Outputs, require_finite
from graft.inference import run as run_over
from graft.machine import Stopwatch
from graft.report.html import write_report
from graft.run import Run, now, score_key
from graft.tasks import Task
from graft.training import Trainer

TRAIN_IMAGES_FOR_DIAGNOSIS = 1000
"""Most training images on which the diagnosis measures; more would only narrow its interval."""

SURE = 0.01
"""Largest p-value at which validation and test are called different."""

NOTHING_TOLD_APART = (
    "The features of all training images are the same, so the solved head tells nothing apart and "
    "gives every image the same answer. Check that the images are not blank, and that the "
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
    """Measure the best model and write model, predictions, result and report.

    The test images are looked at once, and only by a run that is done.

    Returns:
        The document that `graft fit --json` prints. Its "probe" says how a solved head was found:
        see `graft.tasks.classification.describe`; it is None where the plan solves none.
    """
    classifier, task = trainer.model, trainer.model.task
    assert trainer.val_loader is not None, "a run is measured on validation images"
    val_samples = manifest.subset("val")
    test_samples = manifest.subset("test") if state == "done" else ()
    leaked = {split: manifest.leaked(split) for split in ("val", "test")}
    with watch("evaluate"):
        val = _checked(
            trainer.best_outputs or run_over(classifier, trainer.val_loader), val_samples
        )
        test = (
            _checked(run_over(classifier, classifier.loader(test_samples)), test_samples)
            if test_samples
            else None
        )
        # Thresholds and the like travel with the model.
        tuned = task.tuned(val)
        adjusted = tuned != task
        task = classifier.task = tuned
        validation = measured(task, val)
        tested, with_leaks = unleaked(task, test, leaked["test"]) if test else (None, None)
        without_leaks = unleaked(task, val, leaked["val"])[0] if any(leaked["val"]) else None
        trained = measured(task, _on_training_images(trainer, manifest))
    classifier.save(run.model)
    outputs = [("val", val_samples, val)] + ([("test", test_samples, test)] if test else [])
    _write_predictions(run.predictions, task, outputs)
    unlike = splits_differ(validation, tested)
    if unlike is not None:
        trainer.notify("on_message", unlike)
        warnings = [*warnings, unlike]
    best = trainer.position.best
    assert best is not None, "a run is concluded once it has a result"
    if (trainer.position.probe or {}).get("constant"):
        trainer.notify("on_message", NOTHING_TOLD_APART)
        warnings = [*warnings, NOTHING_TOLD_APART]
    candidates = _candidates(trainer)
    plan = trainer.plan.to_dict(trainer.lr, classifier.count_parameters())
    result = {
        "run": str(run.folder),
        "backbone": classifier.backbone.name,
        "strategy": trainer.plan.strategy,
        "task": task.name,
        "metric": task.metric,
        "classes": list(manifest.classes),
        "plan": plan,
        "train_images": len(manifest.subset("train")),
        "val_images": len(val_samples),
        "test_images": len(manifest.subset("test")),
        "val_distinct_images": validation["distinct_images"],
        "test_distinct_images": tested and tested["distinct_images"],
        f"val_{score_key(task.metric)}": validation[task.metric],
        "val_interval": validation["interval"],
        f"test_{score_key(task.metric)}": tested and tested[task.metric],
        "test_interval": tested and tested["interval"],
        "test_excluded": sum(leaked["test"]),
        "test_with_leaks": with_leaks and _brief(with_leaks),
        "val_leaked": sum(leaked["val"]),
        "val_without_leaks": without_leaks and _brief(without_leaks),
        "candidates": candidates,
        "kept": next(row["name"] for row in candidates if row["epoch"] == best.epoch),
        "selected_on": "validation" if _selected(trainer) else None,
        "tuned_on": "validation" if adjusted else None,
        "best_epoch": best.epoch,
        "probe": trainer.position.probe,
        "trainable_parameters": _trained_parameters(trainer, best.epoch),
        "seconds": watch.seconds(["data", "extract", "train", "evaluate"]),
        "diagnosis": for_strategy(task.diagnose(trained, validation), trainer.plan.strategy),
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


def splits_differ(validation: Mapping[str, Any], tested: Mapping[str, Any] | None) -> str | None:
    """Say so where validation and test accuracy differ by more than chance; None where not.

    Args:
        validation: What `measured` returned for the validation images.
        tested: The same for the test images; None where there are none.
    """
    if tested is None or tested["metric"] != "accuracy":
        return None
    first, second = Tally.read(validation), Tally.read(tested)
    p = unpaired(first, second)
    if p >= SURE:
        return None
    better = "better" if second.distinct_accuracy > first.distinct_accuracy else "worse"
    return (
        f"Validation and test differ by more than chance: {first.distinct_accuracy:.1%} of "
        f"{first.distinct} distinct validation images are right and {second.distinct_accuracy:.1%} "
        f"of {second.distinct} test images (p = {p:.1g}). The test is {better} than validation "
        "promises, so the two may not show the same: draw them from the same images."
    )


def _candidates(trainer: Trainer) -> list[dict[str, Any]]:
    """Return the results that the run compared, a row each; the kept one is among them.

    Returns:
        `name` ("solved head"; "fine-tuned", or "trained" where nothing was solved before: the best
        epoch; "last epoch" where that one is kept and is not the best), `epoch`, and the validation
        score under its key.
    """
    best, key = trainer.position.best, f"val_{score_key(trainer.task.metric)}"

    def rank(line: Mapping[str, Any]) -> tuple[float, float]:
        return (-inf if line[key] is None else line[key], -line["val_loss"])

    solved = [line for line in trainer.history if line["epoch"] == 0]
    epochs = [line for line in trainer.history if line["epoch"] > 0]
    rows = [("solved head", line) for line in solved]
    if epochs:
        rows.append(("fine-tuned" if solved else "trained", max(epochs, key=rank)))
    if best is not None and best.epoch not in [line["epoch"] for _, line in rows]:
        last = next(line for line in epochs if line["epoch"] == best.epoch)
        rows.append(("last epoch", last))
    return [{"name": name, "epoch": line["epoch"], key: line[key]} for name, line in rows]


def _selected(trainer: Trainer) -> bool:
    """Say whether validation had a choice: of the weights, of when to stop, of the rates."""
    position, options = trainer.position, trainer.options
    if trainer.keep != "last":
        return len(position.scores) + (position.solved and trainer.keep == "best") > 1
    patient = options.early_stopping or any(phase.patience for phase in trainer.plan.phases)
    return bool(position.scores) and bool(patient or options.schedule == "plateau")


def _trained_parameters(trainer: Trainer, epoch: int) -> int:
    """Return how many parameters were trained on the way to the weights of an epoch."""
    phases = {line["phase_index"] for line in trainer.history if line["epoch"] <= epoch}
    names = {name for index in phases for name in trainer.plan.trained(trainer.plan.phases[index])}
    counts = trainer.model.count_parameters()
    return sum(counts[name] for name in names)


def measured(task: Task, outputs: Outputs) -> dict[str, Any]:
    """Return a task's metrics, and which task and score they are of."""
    return {"task": task.name, "metric": task.metric, **task.metrics(outputs)}


def unleaked(
    task: Task, outputs: Outputs, leaked: Sequence[bool]
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Measure outputs on the images that no earlier split has, and on all of them.

    Args:
        task: Gives the metrics.
        outputs: Of a split.
        leaked: As from `Manifest.leaked`.

    Returns:
        The metrics without leaks, None where nothing is left; and those with leaks, None where
        there are none.
    """
    if not any(leaked):
        return measured(task, outputs), None
    new = [index for index, known in enumerate(leaked) if not known]
    identities = outputs.identities and tuple(outputs.identities[index] for index in new)
    rest = Outputs(outputs.values[new], outputs.targets[new], identities)
    return measured(task, rest) if new else None, measured(task, outputs)


def _brief(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return a score with its interval and the images that it counts."""
    names = ("images", "distinct_images", "interval")
    score = {score_key(metrics["metric"]): metrics[metrics["metric"]]}
    return {**score, **{name: metrics[name] for name in names}}


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
    return replace(outputs, identities=tuple(sample.content for sample in samples))


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


def _write_predictions(
    path: Path, task: Task, outputs: Sequence[tuple[str, Sequence[Sample], Outputs]]
) -> None:
    """Write `predictions.csv`: per image of validation and test what was predicted.

    Names are written as `to_cell` has them; which columns there are is the task's.
    """
    # File names need not be valid text: their bytes are written as they are.
    with (
        atomic_write(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file)
        for number, (split, samples, output) in enumerate(outputs):
            columns, *rows = task.table(samples, output.values)
            if not number:
                writer.writerow(["path", "split", *columns])
            for sample, row in zip(samples, rows, strict=True):
                writer.writerow([to_cell(sample.path), split, *row])
