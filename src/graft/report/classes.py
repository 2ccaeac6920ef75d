"""What the confusion matrix says about single classes and pairs of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graft.evaluation.interval import wilson_interval


@dataclass(frozen=True)
class ClassRow:
    """How well one class is recognised.

    Args:
        name: The class.
        images: How many images of it were looked at.
        precision: Share of the images given this name that deserve it.
        recall: Share of the images of this class that were recognised.
        f1: Their harmonic mean.
        interval: 95% interval of the recall.
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
        interval = wilson_interval(round((recall or 0) * images), images)
        rows.append(
            ClassRow(name, images, scores.get("precision"), recall, scores.get("f1"), interval)
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
    classes, matrix = metrics.get("classes") or [], metrics.get("confusion") or []
    pairs = [
        Confusion(classes[row], classes[column], times, times / sum(counts))
        for row, counts in enumerate(matrix)
        for column, times in enumerate(counts)
        if row != column and times
    ]
    return sorted(pairs, key=lambda pair: (-pair.times, -pair.share, pair.actual))[:most]


def mistakes_shown(matrix: list[list[int]], most: int) -> list[int]:
    """Return the indices of at most `most` classes, those in most mistakes, in their order.

    Args:
        matrix: Confusion counts; rows are the truth, columns the prediction.
        most: How many classes at most.

    Example:
        >>> mistakes_shown([[9, 0, 1], [0, 5, 0], [2, 0, 7]], most=2)
        [0, 2]
    """
    columns = [sum(column) for column in zip(*matrix, strict=True)]
    wrong = [sum(row) + columns[index] - 2 * row[index] for index, row in enumerate(matrix)]
    worst = sorted(range(len(matrix)), key=lambda index: (-wrong[index], index))[:most]
    return sorted(worst)
