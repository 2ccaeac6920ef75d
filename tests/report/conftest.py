"""Run folders in the exact formats of Graft, without training anything."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

STAGES = ["stem", "stage1", "stage2", "stage3", "stage4"]


def a_plan(epochs: Sequence[int] = (0, 3, 5)) -> dict[str, Any]:
    """Return a two-phase plan: the head solved, then warmed up, then everything."""
    full = {stage: 1e-3 * 0.85 ** (5 - depth) for depth, stage in enumerate(STAGES)}
    phases = [
        phase("solve", "solve", epochs[0], {}, ["head"], STAGES, 2562),
        phase("head", "gradient", epochs[1], {"head": 1e-3}, ["head"], STAGES, 2562),
        phase("all", "gradient", epochs[2], {"head": 1e-3, **full}, ["head", *STAGES], [], 2226434),
    ]
    return {"strategy": "two-phase", "stages": STAGES, "batch_norm": "eval", "phases": phases}


def phase(
    name: str,
    method: str,
    epochs: int,
    rates: dict[str, float],
    trains: list[str],
    frozen: list[str],
    parameters: int,
) -> dict[str, Any]:
    return {
        "name": name,
        "method": method,
        "epochs": epochs,
        "until": None,
        "learning_rates": rates,
        "trains": trains,
        "frozen": frozen,
        "trainable_parameters": parameters,
    }


def some_metrics(classes: Sequence[str], confusion: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Return the metrics document that belongs to a confusion matrix."""
    matrix = np.asarray(confusion)
    right, support, called = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    per_class = {}
    for index, name in enumerate(classes):
        precision = float(right[index] / max(1, called[index]))
        recall = float(right[index] / max(1, support[index]))
        f1 = 2 * precision * recall / max(1e-9, precision + recall)
        per_class[name] = {
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "support": int(support[index]),
        }
    accuracy = float(right.sum() / matrix.sum())
    return {
        "accuracy": accuracy,
        "interval": [accuracy - 0.04, min(1.0, accuracy + 0.03)],
        "images": int(matrix.sum()),
        "loss": 0.1834,
        "macro_f1": float(np.mean([scores["f1"] for scores in per_class.values()])),
        "per_class": per_class,
        "confusion": matrix.tolist(),
        "classes": list(classes),
        "shifts": [],
    }


def a_result(metrics: dict[str, Any], test: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the fit document of a run with these metrics."""
    return {
        "run": "runs/ants",
        "backbone": "torchvision:mobilenet_v2",
        "strategy": "two-phase",
        "classes": metrics["classes"],
        "plan": a_plan(),
        "train_images": 244,
        "val_images": metrics["images"],
        "test_images": test["images"] if test else 0,
        "val_accuracy": metrics["accuracy"],
        "val_interval": metrics["interval"],
        "test_accuracy": test["accuracy"] if test else None,
        "test_interval": test["interval"] if test else None,
        "selected_on": "validation",
        "best_epoch": 6,
        "trainable_parameters": 2226434,
        "seconds": {"total": 41.3, "data": 1.2, "extract": 6.1, "train": 31.0, "evaluate": 3.0},
        "diagnosis": {
            "verdict": "good fit",
            "train_accuracy": 0.984,
            "val_accuracy": metrics["accuracy"],
            "evidence": "Training accuracy 98.4% is close to the validation accuracy.",
            "next": "More images of the confused classes help more than more epochs.",
        },
        "batch_norm": "eval: frozen statistics everywhere",
        "set_aside": 1,
        "warnings": [
            "1 image cannot be read and was set aside: train/bees/damaged.jpg (truncated)"
        ],
    }


def some_epochs(plan: dict[str, Any], per_epoch: int = 8) -> list[dict[str, Any]]:
    """Return the lines of metrics.jsonl for a whole plan."""
    lines, epoch = [], 0
    for index, of_plan in enumerate(plan["phases"]):
        for _ in range(of_plan["epochs"]):
            epoch += 1
            lines.append(
                {
                    "phase": of_plan["name"],
                    "phase_index": index,
                    "epoch": epoch,
                    "step": epoch * per_epoch,
                    "train_loss": 0.9 * 0.75**epoch + 0.05,
                    "train_accuracy": 1 - 0.4 * 0.7**epoch,
                    "val_loss": 0.7 * 0.8**epoch + 0.12,
                    "val_accuracy": 0.95 - 0.25 * 0.7**epoch,
                    "lr": of_plan["learning_rates"],
                    "seconds": 3.9,
                    "images_per_second": 63.1,
                    "best": epoch == 6,
                }
            )
    return lines


def some_steps(plan: dict[str, Any], per_epoch: int = 8) -> list[dict[str, Any]]:
    """Return the lines of steps.jsonl: a cosine per phase, and a noisy loss."""
    rng = np.random.default_rng(0)
    lines, step, epoch = [], 0, 0
    for of_plan in plan["phases"]:
        total = of_plan["epochs"] * per_epoch
        for within in range(total):
            step += 1
            epoch += within % per_epoch == 0
            factor = 0.5 * (1 + np.cos(np.pi * within / total)) + 0.01
            loss = float(0.9 * 0.96**step + 0.05 + 0.08 * rng.standard_normal())
            rates = {name: rate * factor for name, rate in of_plan["learning_rates"].items()}
            lines.append({"step": step, "epoch": epoch, "loss": loss, "losses": {}, "lr": rates})
    return lines


def write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def write_predictions(path: Path, rows: Sequence[Sequence[Any]], classes: Sequence[str]) -> None:
    """Write predictions.csv from rows of path, split, label, prediction, confidence."""
    header = ["path", "split", "label", "prediction", "confidence", "correct"]
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*header, *(f"p({name})" for name in classes)])
        for row in rows:
            correct = str(row[2] == row[3]).lower()
            writer.writerow([*row, correct, *(round(1 / len(classes), 4) for _ in classes)])


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a finished run; keywords replace entries of run.json."""

    def make(
        classes: Sequence[str] = ("ants", "bees"),
        confusion: Sequence[Sequence[int]] = ((66, 4), (3, 80)),
        **changes: Any,
    ) -> Path:
        folder = tmp_path / "ants-and-bees"
        folder.mkdir()
        metrics = some_metrics(classes, confusion)
        result = a_result(metrics)
        run = {
            "format": 1,
            "state": "done",
            "graft": "0.1.0",
            "versions": {"python": "3.11.7", "torch": "2.15.0", "torchvision": "0.29.0"},
            "seed": 0,
            "started": "2026-01-05T10:00:00+00:00",
            "finished": "2026-01-05T10:00:41+00:00",
            "error": None,
            "result": result,
            "validation": metrics,
            "test": None,
            "audits": [{"phase": "head", "frozen": STAGES, "unchanged": True}],
            **changes,
        }
        (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
        write_lines(folder / "metrics.jsonl", some_epochs(result["plan"]))
        write_lines(folder / "steps.jsonl", some_steps(result["plan"]))
        rows = []
        for index, name in enumerate(classes[:6]):
            image = tmp_path / f"image-{index}.jpg"
            Image.effect_mandelbrot((320, 240), (-2, -1.3 + index / 9, 1, 1.2), 60).save(image)
            taken_for = classes[(index + 1) % len(classes)]
            rows.append([str(image), "val", name, taken_for, 0.99 - index / 20])
            rows.append([f"/no/such/{index}.jpg", "val", name, taken_for, 0.7 - index / 20])
            rows.append([str(image), "val", name, name, 0.999])
        write_predictions(folder / "predictions.csv", rows, classes)
        return folder

    return make
