"""What the scripts of this folder share: options, the classifier on the common weights, reports."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

BACKBONE = "mobilenet_v2"


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of the images, the weights and a folder to write in."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--data", type=Path, required=True, help="train|val/<class>/…")
    made.add_argument("--weights", type=Path, required=True)
    made.add_argument("--scratch", type=Path, required=True, help="new folder for runs")
    return made


def open_images(data: Path) -> Any:
    """Return the manifest with its splits."""
    import graft

    return graft.assign_splits(graft.scan(data))


def open_classifier(options: argparse.Namespace, classes: tuple[str, ...]) -> Any:
    """Return an untrained head on the common weights, laid out as the trainer does."""
    import torch

    import graft

    backbone = graft.load_backbone(BACKBONE, weights=options.weights)
    head = graft.LinearHead(backbone.width, len(classes))
    classifier = graft.Classifier(backbone, head, classes)
    return classifier.to(memory_format=torch.channels_last)


def epochs_of(run: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's gradient epochs."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line.get("seconds")]


def report(**document: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(document))
