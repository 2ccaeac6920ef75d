"""What the features of the backbone that ships are worth: differences of accuracies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.finding import Finding, Target
from benchmarks.place import QUICK_IMAGES, Place
from benchmarks.row import Row

if TYPE_CHECKING:
    from benchmarks.quality.score import Score

NAME = "graft-small"


def findings(place: Place) -> list[Finding]:
    """Measure, in this process: an accuracy does not depend on where it is measured."""
    # Importing torch and scikit-learn is left to those who measure this row.
    from benchmarks.quality.candidate import Candidate
    from benchmarks.quality.measure import Scope, measure
    from benchmarks.quality.tasks import TASKS
    from graft.download import staying_offline

    scope = Scope()
    if place.quick:
        most = dict.fromkeys(TASKS, 10 * QUICK_IMAGES)
        scope = Scope(most=most, seeds=1, epochs=1, longer=2)
    missing: list[str] = []
    with staying_offline():
        scores = list(measure(Candidate(place.candidate), scope, missing.append))
    return [*told(scores), *(Finding(NAME, "", words, None) for words in missing)]


def told(scores: Sequence[Score]) -> list[Finding]:
    """Return for each task how far the pre-trained weights are above the best without any."""
    found = []
    for task in dict.fromkeys(score.task for score in scores):
        here = [score for score in scores if score.task == task]
        own = _first(here, "frozen", "full as scratch")
        rivals = [score for score in here if score.method.startswith(_NOT_PRE_TRAINED)]
        best = max(rivals, key=lambda score: score.accuracy)
        found.append(
            Finding(
                NAME,
                "",
                f"{task}: {own.method} - {best.method}",
                round(100 * (own.accuracy - best.accuracy), 2),
                "points",
                Target("at least", 0.0),
                {score.method: str(score) for score in here},
                f"{own.images:,} test images",
            )
        )
    return found


_NOT_PRE_TRAINED = ("random", "pixels", "HOG", "scratch")


def _first(scores: Sequence[Score], *beginnings: str) -> Score:
    return next(score for score in scores if score.method.startswith(beginnings))


ROW = Row(NAME, "the features of the backbone that ships", 20.0, findings, once=True)
