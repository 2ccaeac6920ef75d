"""The options that every peer takes, and how it reports."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of the images and the weights."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--data", type=Path, required=True, help="train|val/<class>/…")
    made.add_argument("--weights", type=Path, required=True, help="MobileNetV2, safetensors")
    return made


def report(epochs: list[dict[str, Any]], total: float, **more: Any) -> None:
    """Print one JSON document.

    Args:
        epochs: Each with `seconds`, `train_seconds`, `train_images` and `val_accuracy`.
        total: Seconds since the script began, imports excluded.
        more: What else there is to say.
    """
    accuracies = [epoch["val_accuracy"] for epoch in epochs]
    document = {
        "best_val_accuracy": max(accuracies, default=None),
        "last_val_accuracy": accuracies[-1] if accuracies else None,
        "epochs": epochs,
        "total": total,
        **more,
    }
    print(json.dumps(document))
