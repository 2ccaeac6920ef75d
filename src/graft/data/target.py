"""What the text of a sample's label means: a class, several labels, or a number."""

from __future__ import annotations

import math
from collections.abc import Iterable

CLASSIFICATION, MULTILABEL, REGRESSION = "classification", "multilabel", "regression"

COLUMNS = {CLASSIFICATION: "label", MULTILABEL: "labels", REGRESSION: "value"}
"""The column of a table that holds the label, for each task."""

SEPARATOR = ";"


def names_of(label: str, task: str) -> tuple[str, ...]:
    """Return the classes or labels that a sample's label names; a number names none.

    Example:
        >>> names_of("striped;winged", "multilabel"), names_of("", "multilabel")
        (('striped', 'winged'), ())
        >>> names_of("a;b", "classification"), names_of("2.5", "regression")
        (('a;b',), ())
    """
    if task == MULTILABEL:
        return tuple(name for name in label.split(SEPARATOR) if name)
    return () if task == REGRESSION else (label,)


def join_names(names: Iterable[str]) -> str:
    """Return the label of a sample that has several: each once, sorted, joined by semicolons.

    Example:
        >>> join_names([" winged", "striped", "winged", ""])
        'striped;winged'
    """
    return SEPARATOR.join(sorted({name.strip() for name in names} - {""}))


def number_of(text: str) -> float:
    """Return the finite number that a text is.

    Raises:
        ValueError: It is none.

    Example:
        >>> number_of(" -2.50")
        -2.5
    """
    value = float(text)
    if not math.isfinite(value) or "_" in text:
        raise ValueError(f"{text!r} is no finite number")
    return value
