"""`graft demo`: what transfer learning buys, measured here and now on few images."""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from graft.backbones.load import load_backbone
from graft.data.check import check
from graft.data.manifest import Manifest, assign_splits
from graft.data.scan import scan
from graft.download import staying_offline
from graft.errors import GraftError
from graft.evaluation.intervals import difference_interval, holm, mcnemar
from graft.files import from_cell, wrap_os_errors, write_json
from graft.machine import Stopwatch
from graft.report.charts import ChartError, strategies_chart, write_png
from graft.run import Run
from graft.samples import SAMPLES, write_samples
from graft.samples.digits_m import write_digits_m
from graft.samples.write import staged_folder
from graft.strategies import STRATEGIES
from graft.training import Callback
from graft.user_cache import cache_root
from graft.workflows.fit import Fit, fit
from graft.workflows.predict import Unreadable, predict

CONTROL = "scratch"
COMPARED = ("probe", "partial", "gradual", "full", CONTROL)
SURE = 0.05
"""Largest p-value at which two strategies are called different."""


@dataclass(frozen=True)
class Task:
    """What a demo learns, and with what; the same for every strategy.

    Args:
        question: What it asks.
        description: What the images are.
        samples: Key of `graft.samples.SAMPLES`.
        per_class: Training images of each class; None takes all.
        val_per_class: Validation images of each class; None takes all.
        backbone: Name of the network.
        weights: A local weights file in place of the published ones.
        pretrained: What the network learned from, in words.
        image_size: Side of the input in pixels; None takes the network's own.
        augment: Random changes of the training images.
        epochs: Of every strategy that goes by gradient.
        claim: What the test images can claim.
    """

    question: str
    description: str
    samples: str
    per_class: int | None
    val_per_class: int | None
    backbone: str
    weights: str | None
    pretrained: str
    image_size: int | None
    augment: str
    epochs: int
    claim: str


DIGITS = Task(
    question="What does pre-training buy with few images of each digit?",
    description="handwritten digits on patches of photographs, 32 × 32 pixels",
    samples="digits-m",
    per_class=20,
    val_per_class=10,
    backbone="graft-small",
    weights=None,
    pretrained="pre-trained on generated images, never on these digits",
    image_size=32,
    augment="crop(0.7),rotation(10)",  # a mirrored digit is no digit
    epochs=10,
    claim="by other writers, on other parts of the photographs",
)
PHOTOS = Task(
    question="Ants or bees?",
    description="photographs of ants and bees",
    samples="hymenoptera",
    per_class=None,
    val_per_class=None,
    backbone="resnet18",
    weights=None,
    pretrained="pre-trained on ImageNet, from which these photographs are",
    image_size=None,
    augment="basic",
    epochs=5,
    claim="the set's own validation folder; a fifth of its training folder validates here",
)


class DemoCallback(Callback):
    """Is called as a demo goes on, and during each of its runs."""

    def on_task(self, document: Mapping[str, Any]) -> None:
        """The images are there and checked; what will be compared."""

    def on_strategy_begin(self, strategy: str) -> None:
        """A strategy is about to run."""

    def on_strategy_end(self, row: Mapping[str, Any]) -> None:
        """A strategy is done; its row of the table."""


def demo(
    out: str | os.PathLike[str] | None = None,
    *,
    photos: bool = False,
    seed: int = 0,
    cache: str | None = None,
    offline: bool = False,
    callback: DemoCallback | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Compare extraction, fine-tuning and training from scratch on few images, and predict some.

    Args:
        out: New or empty folder; None takes the next free `graft-demo[-N]` of the current folder.
            It gets the images, a run folder per strategy, `strategies.png` and `demo.json`.
        photos: Ants and bees with ResNet-18, which downloads both once, in place of digits with
            the network that ships with Graft.
        seed: Of the draw of the images and of all training.
        cache: Folder that keeps what frozen layers made of images, or "off".
        offline: Ask nothing of the network.
        callback: Called as it goes on; None is silent.
        changes: Fields of the `Task` to replace: `epochs=1`, `per_class=5`.

    Returns:
        The document that `graft demo --json` prints, which is `demo.json`.

    Raises:
        RecipeError: `out` is in use, or no folder can have the cache's name.
        ResourceError: No disk or memory; no network for `photos`.
        KeyboardInterrupt: Ctrl-C; what was done remains, and `demo.json` says so.

    Example:
        >>> found = demo("graft-demo")  # doctest: +SKIP
        >>> [row["strategy"] for row in found["strategies"]]  # doctest: +SKIP
        ['probe', 'partial', 'gradual', 'full', 'scratch']
    """
    watch, callback = Stopwatch(), callback or DemoCallback()
    task = replace(PHOTOS if photos else DIGITS, **changes)
    place = _next_free() if out is None else Path(out)
    Run.refuse_taken(place)
    cache_root(cache)  # refuses a name that no folder can have, before anything is written
    with staying_offline(offline):
        backbone = load_backbone(task.backbone, image_size=task.image_size, meta=True)
        data = _write_images(task, place, seed)
    parameters = sum(parameter.numel() for parameter in backbone.module.parameters())
    document: dict[str, Any] = {
        "state": "running",
        "out": os.fspath(place),
        "question": task.question,
        "data": {"words": task.description, "claim": task.claim, **data},
        "backbone": {
            "name": task.backbone,
            "parameters": parameters,
            "pretrained": task.pretrained,
            "image_size": [backbone.preprocess.height, backbone.preprocess.width],
        },
        "recipe": {
            "epochs": task.epochs,
            "augment": task.augment,
            "seed": seed,
            "control": CONTROL,
            "control_lr_scale": STRATEGIES[CONTROL].lr_scale,
        },
        "strategies": [],
    }
    file = place / "demo.json"
    try:
        write_json(file, document)
        callback.on_task(document)
        options = _options(task, seed=seed, cache=cache, offline=offline)
        fits = _fit_each(place, data["path"], task, options, callback, document)
        against = _against_control(fits)
        for row in document["strategies"]:
            row["against_scratch"] = against.get(row["strategy"])
        best = max(document["strategies"], key=lambda row: row["val_accuracy"])["strategy"]
        document["best"] = best
        document["predictions"] = _predictions(fits[best], seed)
        chart = place / "strategies.png"
        try:
            write_png(strategies_chart(document["strategies"], _title(document), CONTROL), chart)
            document["chart"] = os.fspath(chart)
        except ChartError as error:
            document["chart"] = None
            callback.on_message(str(error))
        document["seconds"] = watch.seconds([])["total"]
        document["next"] = "graft fit DIR"
        document["state"] = "done"
        write_json(file, document)
    except BaseException as error:
        document["state"] = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        with contextlib.suppress(GraftError, OSError):
            write_json(file, document)
        raise
    return document


def _next_free() -> Path:
    names = ("graft-demo" if number == 1 else f"graft-demo-{number}" for number in count(1))
    return next(place for name in names if not (place := Path(name)).exists())


def _write_images(task: Task, place: Path, seed: int) -> dict[str, Any]:
    """Write the images below `place` and check them; return what is known of them."""
    folder = place / task.samples
    try:
        with wrap_os_errors(place):
            place.mkdir(parents=True, exist_ok=True)
        if task.samples == "digits-m":
            with staged_folder(folder) as staged:
                write_digits_m(
                    staged, seed=seed, per_class=task.per_class, val_per_class=task.val_per_class
                )
            path, manifest = folder, scan(folder)
        else:
            write_samples(task.samples, folder, seed=seed)
            path, manifest = place / f"{task.samples}.csv", _with_test(scan(folder), seed)
            manifest.save(path)
            load_backbone(task.backbone, weights=task.weights)  # downloads before anything draws
    except BaseException:
        with contextlib.suppress(OSError):
            place.rmdir()  # if nothing is in it
        raise
    known = SAMPLES[task.samples]
    images = {split: len(manifest.subset(split)) for split in ("train", "val", "test")}
    return {
        "samples": task.samples,
        "path": os.fspath(path),
        "classes": list(manifest.classes),
        "images": images,
        "doubts": check(manifest),
        "source": known.source,
        "licence": known.licence,
    }


def _with_test(manifest: Manifest, seed: int) -> Manifest:
    """Keep the given validation images for the one test, and draw others from the training."""
    samples = tuple(
        replace(sample, split="test" if sample.split == "val" else sample.split)
        for sample in manifest.samples
    )
    return assign_splits(replace(manifest, samples=samples), seed=seed)


def _options(task: Task, *, seed: int, cache: str | None, offline: bool) -> dict[str, Any]:
    """Return what every strategy is given alike."""
    return {
        "backbone": task.backbone,
        "image_size": task.image_size,
        "seed": seed,
        "cache": cache,
        "offline": offline,
    }


def _fit_each(
    place: Path,
    data: str,
    task: Task,
    options: Mapping[str, Any],
    callback: DemoCallback,
    document: dict[str, Any],
) -> dict[str, Fit]:
    """Run the strategies one after the other; each appears in the document as soon as it is done.

    What frozen layers make of the images is kept by the run that needs it first.
    """
    fits: dict[str, Fit] = {}
    for strategy in COMPARED:
        callback.on_strategy_begin(strategy)
        own: dict[str, Any] = {}
        if strategy != "probe":  # its solved head sees each image as it is
            own |= {"epochs": task.epochs, "augment": task.augment}
        if strategy != CONTROL:
            own["weights"] = task.weights
        fits[strategy] = fit(
            data,
            out=place / strategy,
            strategy=strategy,
            callbacks=[callback],
            **options,
            **own,
        )
        row = _row(fits[strategy].result)
        document["strategies"].append(row)
        write_json(place / "demo.json", document)
        callback.on_strategy_end(row)
    return fits


def _row(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the table says of a run."""
    keys = (
        *("strategy", "run", "val_accuracy", "val_interval", "test_accuracy", "test_interval"),
        *("test_images", "trainable_parameters", "best_epoch", "seconds"),
    )
    return {
        **{key: result[key] for key in keys},
        "kept_solved_head": result["strategy"] not in ("probe", CONTROL)
        and result["best_epoch"] == 0,
    }


def _against_control(fits: Mapping[str, Fit]) -> dict[str, dict[str, Any]]:
    """Compare each strategy with training from scratch, image by image."""
    right = {name: _right(fitted.run) for name, fitted in fits.items()}
    control = right[CONTROL]
    found: dict[str, dict[str, Any]] = {}
    for name in (name for name in fits if name != CONTROL):
        assert right[name].keys() == control.keys(), "all are tested on the same images"
        better = sum(right[name][image] and not control[image] for image in control)
        worse = sum(control[image] and not right[name][image] for image in control)
        found[name] = {
            "difference": (better - worse) / len(control),
            "interval": list(difference_interval(better, worse, len(control))),
            "right_only_here": better,
            "right_only_from_scratch": worse,
            "p": mcnemar(better, worse),
        }
    adjusted = holm([float(comparison["p"]) for comparison in found.values()])
    for comparison, p in zip(found.values(), adjusted, strict=True):
        comparison["p_holm"] = p
        comparison["distinguishable"] = p < SURE
    return found


def _right(run: Path) -> dict[str, bool]:
    """Return which distinct test images a run has right; copies of one are no further evidence."""
    identity = {sample.path: sample.identity for sample in Manifest.load(Run(run).manifest).samples}
    return {identity[row["path"]]: row["label"] == row["prediction"] for row in _tested(run)}


def _tested(run: Path) -> list[dict[str, str]]:
    with Run(run).predictions.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    names = ("path", "label", "prediction")
    return [{**row, **{name: from_cell(row[name]) for name in names}} for row in rows]


def _predictions(fitted: Fit, seed: int, drawn: int = 3) -> list[dict[str, Any]]:
    """Predict a few test images, drawn at random, and the most confident mistake among all."""
    rows = _tested(fitted.run)
    chosen = np.random.default_rng(seed).choice(len(rows), min(drawn, len(rows)), replace=False)
    shown = [(rows[index], "drawn at random") for index in sorted(chosen)]
    others = [row for index, row in enumerate(rows) if index not in chosen]
    mistakes = [row for row in others if row["label"] != row["prediction"]]
    if mistakes:
        worst = max(mistakes, key=lambda row: float(row["confidence"]))
        shown.append((worst, "most confident mistake"))
    said = predict(fitted.classifier, [row["path"] for row, _ in shown], top=1)
    return [
        {
            "path": found.path,
            "label": row["label"],
            "prediction": found.label,
            "confidence": found.confidence,
            "right": found.label == row["label"],
            "why": why,
        }
        for (row, why), found in zip(shown, said, strict=True)
        if not isinstance(found, Unreadable)
    ]


def _title(document: Mapping[str, Any]) -> str:
    images = document["data"]["images"]
    return (
        f"{document['data']['samples']}: {images['train']} images to learn from, "
        f"{images['test']} test images; {document['backbone']['name']}"
    )
