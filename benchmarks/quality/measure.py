"""Every method on every task, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.place import MissingError
from benchmarks.quality import few_shot
from benchmarks.quality.candidate import Candidate, features
from benchmarks.quality.probes import hog_rows, logistic_regression, pixel_rows, probe
from benchmarks.quality.score import Score
from benchmarks.quality.tasks import TASKS, Task

FROZEN = "frozen features, probe"
RANDOM = "random weights, probe"
PIXELS = "pixels, logistic regression"
HOG = "HOG, logistic regression"
QUICK_FLOWERS = 1500


@dataclass(frozen=True)
class Scope:
    """How much is measured.

    Args:
        tasks: Names of `TASKS`.
        most: Most images of a task, by its name.
        seeds: Of random weights and of the few images.
        baselines: Whether pixels and HOG are measured; they do not depend on the backbone.
        few: Whether few-shot digits are measured.
        epochs: Of few-shot fine-tuning and training from scratch.
        longer: Of the longer training from scratch.
    """

    tasks: Sequence[str] = tuple(TASKS)
    most: dict[str, int] = field(default_factory=dict)
    seeds: int = 3
    baselines: bool = True
    few: bool = True
    epochs: int = 10
    longer: int = 60

    @classmethod
    def quick(cls) -> Scope:
        """Return the scope that is enough to compare one recipe with another."""
        return cls(most={"flowers": QUICK_FLOWERS}, seeds=1)


def measure(
    candidate: Candidate, scope: Scope, say: Callable[[str], object] = lambda _words: None
) -> Iterator[Score]:
    """Yield the scores of a backbone as they come.

    Args:
        candidate: The backbone.
        scope: How much.
        say: Hears which tasks are left out because their images are not here.
    """
    for name in scope.tasks:
        try:
            task = TASKS[name]().first(scope.most.get(name))
        except MissingError as missing:
            say(f"{name} is left out: {missing}.")
            continue
        yield from _on(task, candidate, scope)
    if scope.few:
        for method, options in few_shot.methods(scope.epochs, scope.longer).items():
            started = time.perf_counter()
            runs = [few_shot.accuracy(candidate, options, seed) for seed in range(scope.seeds)]
            accuracies = tuple(accuracy for accuracy, _ in runs)
            seconds = time.perf_counter() - started
            yield Score(few_shot.TASK, method, accuracies, runs[0][1], seconds)


def _on(task: Task, candidate: Candidate, scope: Scope) -> Iterator[Score]:
    methods: dict[str, Callable[[int], float]] = {
        FROZEN: lambda _seed: probe(features(candidate.load(), task), task),
        RANDOM: lambda seed: probe(features(candidate.random(seed), task), task),
    }
    if scope.baselines:
        methods[PIXELS] = lambda _seed: logistic_regression(pixel_rows(task), task)
        methods[HOG] = lambda _seed: logistic_regression(hog_rows(task), task)
    for method, accuracy in methods.items():
        started = time.perf_counter()
        seeds = range(scope.seeds if method == RANDOM else 1)
        accuracies = tuple(accuracy(seed) for seed in seeds)
        seconds = time.perf_counter() - started
        yield Score(task.name, method, accuracies, len(task.labels) - task.training, seconds)
