"""What the confusion matrix says about single classes and pairs of them."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
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
