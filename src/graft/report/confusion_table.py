"""The confusion matrix as a shaded table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graft.report.classes import confusion_pairs, mistakes_shown
from graft.report.words import visible

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
