"""What the confusion matrix says: classes, confused pairs, a shaded table, surest mistakes."""

from __future__ import annotations

import csv
import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graft.evaluation.intervals import wilson_interval
from graft.files import from_cell
from graft.report.text import visible


@dataclass(frozen=True)
class ClassRow:
    """How well one class is recognised.

    Args:
        name: The class.
        images: How many images of it were looked at.
        precision: Share of the images given this name that deserve it.
        recall: Share of the images of this class that were recognised.
        f1: Their harmonic mean.
        interval: 95% interval of the recall, which counts distinct images.
    """

    name: str
    images: int
    precision: float | None
    recall: float | None
    f1: float | None
    interval: tuple[float, float]


@dataclass(frozen=True)
class Confusion:
    """One class taken for another: how often, and as a share of the first one's images."""

    actual: str
    predicted: str
    times: int
    share: float


def class_rows(metrics: dict[str, Any]) -> list[ClassRow]:
    """Return a row per class, the least recognised first.

    Args:
        metrics: The metrics document.

    Example:
        >>> scores = {"precision": 1.0, "recall": 0.9, "f1": 0.947, "support": 10}
        >>> [row] = class_rows({"per_class": {"ants": scores}})
        >>> row.name, [round(bound, 2) for bound in row.interval]
        ('ants', [0.6, 0.98])
    """
    rows = []
    for name, scores in (metrics.get("per_class") or {}).items():
        images, recall = scores.get("support") or 0, scores.get("recall")
        low, high = scores.get("interval") or wilson_interval(round((recall or 0) * images), images)
        rows.append(
            ClassRow(name, images, scores.get("precision"), recall, scores.get("f1"), (low, high))
        )
    return sorted(rows, key=lambda row: (row.images == 0, row.recall or 0.0, row.name))


def most_confused(metrics: dict[str, Any], most: int = 8) -> list[Confusion]:
    """Return the pairs that are confused most often, most frequent first.

    Args:
        metrics: The metrics document.
        most: How many pairs at most. Default 8.

    Example:
        >>> pairs = most_confused({"classes": ["ants", "bees"], "confusion": [[8, 2], [0, 9]]})
        >>> [(pair.actual, pair.predicted, pair.times, pair.share) for pair in pairs]
        [('ants', 'bees', 2, 0.2)]
    """
    classes, totals = metrics.get("classes") or [], Counter[int]()
    for actual, _, times in confusion_pairs(metrics):
        totals[actual] += times
    pairs = [
        Confusion(classes[actual], classes[predicted], times, times / totals[actual])
        for actual, predicted, times in confusion_pairs(metrics)
        if actual != predicted
    ]
    return sorted(pairs, key=lambda pair: (-pair.times, -pair.share, pair.actual))[:most]


def confusion_pairs(metrics: dict[str, Any]) -> Iterator[tuple[int, int, int]]:
    """Yield every pair of a true and a predicted class that occurs, with the number of its images.

    Args:
        metrics: The metrics document, with `confusion` or, of many classes, `confusion_pairs`.

    Example:
        >>> list(confusion_pairs({"confusion": [[8, 2], [0, 9]]}))
        [(0, 0, 8), (0, 1, 2), (1, 1, 9)]
        >>> list(confusion_pairs({"confusion": None, "confusion_pairs": [[0, 7, 2]]}))
        [(0, 7, 2)]
    """
    for row, counts in enumerate(metrics.get("confusion") or []):
        for column, times in enumerate(counts):
            if times:
                yield row, column, times
    for actual, predicted, times in metrics.get("confusion_pairs") or []:
        yield actual, predicted, times


def mistakes_shown(pairs: Iterable[tuple[int, int, int]], classes: int, most: int) -> list[int]:
    """Return the indices of at most `most` classes, those in most mistakes, in their order.

    Args:
        pairs: As from `confusion_pairs`.
        classes: How many classes there are.
        most: How many to return at most.

    Example:
        >>> mistakes_shown([(0, 0, 9), (0, 2, 1), (1, 1, 5), (2, 0, 2), (2, 2, 7)], 3, most=2)
        [0, 2]
    """
    wrong = [0] * classes
    for actual, predicted, times in pairs:
        if actual != predicted:
            wrong[actual] += times
            wrong[predicted] += times
    return sorted(heapq.nsmallest(most, range(classes), key=lambda index: (-wrong[index], index)))


MOST_CLASSES = 24
"""Classes of which names and counts stay readable, and the page small."""

OTHERS = "all others"


@dataclass(frozen=True)
class Cell:
    """How often one class was taken for another, or for itself.

    Args:
        images: How often.
        share: The same as a share of the row's images, 0 to 1.
        right: Whether truth and prediction agree.
    """

    images: int
    share: float
    right: bool


@dataclass(frozen=True)
class ConfusionTable:
    """The truth downwards, predictions across.

    Args:
        columns: Names of what was predicted.
        rows: The name of each true class, with a cell per column.
        total: How many classes there are, shown or not.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    total: int

    @property
    def whole(self) -> bool:
        """Whether every class is shown."""
        return len(self.rows) == self.total


def confusion_table(metrics: dict[str, Any]) -> ConfusionTable | None:
    """Return the table of a confusion matrix, or of its classes with the most mistakes.

    Classes that are not shown add up in a last column, so that no row loses an image.

    Args:
        metrics: The metrics document.

    Returns:
        The table, or None where there is no matrix.

    Example:
        >>> table = confusion_table({"classes": ["ants", "bees"], "confusion": [[8, 2], [0, 9]]})
        >>> table.columns, table.rows[0]
        (('ants', 'bees'), ('ants', (Cell(images=8, share=0.8, right=True), \
Cell(images=2, share=0.2, right=False))))
    """
    pairs = list(confusion_pairs(metrics))
    if not pairs:
        return None
    total = len(metrics["classes"])
    shown = mistakes_shown(pairs, total, MOST_CLASSES)
    counts: dict[int, dict[int, int]] = {index: {} for index in shown}
    for actual, predicted, times in pairs:
        if actual in counts:
            counts[actual][predicted] = times
    names = [shortened(visible(metrics["classes"][index])) for index in shown]
    rows = tuple(
        (name, _cells(counts[actual], actual, shown, whole=len(shown) == total))
        for name, actual in zip(names, shown, strict=True)
    )
    return ConfusionTable(tuple(names if len(shown) == total else [*names, OTHERS]), rows, total)


def shortened(name: str, most: int = 20) -> str:
    """Return a name of at most `most` letters; the middle goes, as classes often differ at the end.

    Example:
        >>> shortened("ants"), shortened("Formica rufa, worker, dorsal", 12)
        ('ants', 'Formic…orsal')
    """
    if len(name) <= most:
        return name
    return name[: most // 2] + "…" + name[len(name) - most + most // 2 + 1 :]


def _cells(
    counts: dict[int, int], actual: int, shown: list[int], *, whole: bool
) -> tuple[Cell, ...]:
    images = sum(counts.values())
    chosen = [(counts.get(predicted, 0), predicted == actual) for predicted in shown]
    if not whole:
        chosen.append((images - sum(times for times, _ in chosen), False))
    return tuple(Cell(times, times / max(1, images), right) for times, right in chosen)


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
