"""Scores as Markdown: a line for each method, a column for each task."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.quality.score import Score


def render(scores: Sequence[Score]) -> str:
    """Return a table of scores; tasks that share no method make tables of their own.

    Example:
        >>> print(render([Score("digits", "pixels", (0.5,), 100, 1.0)]))
        | test accuracy, 95 % interval | digits (100) |
        | --- | ---: |
        | pixels | 50.0 % (40.4 to 59.6) |
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for task in dict.fromkeys(score.task for score in scores):
        methods = tuple(score.method for score in scores if score.task == task)
        groups.setdefault(methods, []).append(task)
    return "\n\n".join(_table(scores, tasks, methods) for methods, tasks in groups.items())


def _table(scores: Sequence[Score], tasks: Sequence[str], methods: Sequence[str]) -> str:
    found = {(score.task, score.method): score for score in scores}
    images = [found[task, methods[0]].images for task in tasks]
    heads = [f"{task} ({count:,})" for task, count in zip(tasks, images, strict=True)]
    lines = [
        ["test accuracy, 95 % interval", *heads],
        ["---", *("---:" for _ in tasks)],
        *([method, *(_cell(found[task, method]) for task in tasks)] for method in methods),
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(score: Score) -> str:
    if len(score.accuracies) == 1:
        return str(score)
    low, high = (100 * bound for bound in (min(score.accuracies), max(score.accuracies)))
    return f"{score}, seeds {low:.1f} to {high:.1f}"
