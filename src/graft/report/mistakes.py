"""The mistakes that the model was surest of, read from `predictions.csv`."""

from __future__ import annotations

import csv
import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from graft.files import from_cell


@dataclass(frozen=True)
class Mistake:
    """One image that was taken for something else."""

    path: str
    label: str
    prediction: str
    confidence: float


def confident_mistakes(predictions: Path, split: str, most: int = 12) -> list[Mistake]:
    """Return the wrong predictions of a split, the most confident first.

    Args:
        predictions: The run's `predictions.csv`; need not exist.
        split: "val" or "test".
        most: How many at most. Default 12.

    Returns:
        The mistakes; none if the file is absent or is no such table.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "predictions.csv"
        >>> lines = ["path,split,label,prediction,confidence", "a.jpg,val,ants,bees,0.9"]
        >>> _ = path.write_text(chr(10).join(lines))
        >>> confident_mistakes(path, "val")[0].prediction
        'bees'
    """
    if not predictions.is_file():
        return []
    wrong = _mistakes(predictions, split)
    return heapq.nlargest(most, wrong, key=lambda mistake: mistake.confidence)


def _mistakes(predictions: Path, split: str) -> Iterator[Mistake]:
    # Undecodable bytes in a file name survive the round trip, so that the image still opens.
    with predictions.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file)
        header = next(rows, [])
        wanted = ("path", "split", "label", "prediction", "confidence")
        if not set(wanted) <= set(header):
            return
        columns = [header.index(name) for name in wanted]
        for row in rows:
            if len(row) < len(header):
                continue  # the line that a kill cut short
            path, of_split, label, prediction, confidence = (row[column] for column in columns)
            if of_split == split and label and label != prediction:
                path, label, prediction = map(from_cell, (path, label, prediction))
                yield Mistake(path, label, prediction, float(confidence or 0))
