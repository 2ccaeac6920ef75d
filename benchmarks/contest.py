"""Contestants in turns, so that whatever else the machine does befalls all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from typing import TypeVar

T = TypeVar("T")


def in_turns(contestants: Mapping[str, Callable[[], T]], repeat: int) -> dict[str, list[T]]:
    """Run every contestant once per round; each round begins with another one.

    Args:
        contestants: What to run, by name.
        repeat: Number of rounds.

    Returns:
        The results of each contestant, in the order of the rounds.

    Example:
        >>> order = []
        >>> run = {name: lambda name=name: order.append(name) for name in "ab"}
        >>> _ = in_turns(run, 2)
        >>> order
        ['a', 'b', 'b', 'a']
    """
    names = list(contestants)
    results: dict[str, list[T]] = {name: [] for name in names}
    for turn in range(repeat):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            results[name].append(contestants[name]())
    return results


def middle(values: list[float]) -> float:
    """Return the median.

    Example:
        >>> middle([3.0, 100.0, 1.0])
        3.0
    """
    return float(median(values))
