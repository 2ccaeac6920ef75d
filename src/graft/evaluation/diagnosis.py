"""Training and validation read together: underfitting, overfitting or a good fit, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graft.evaluation.intervals import Tally

OVERFITTING = (
    "Add images if you can; otherwise vary them more (--augment strong), train fewer stages "
    "(--strategy partial), or stop earlier."
)
UNDERFITTING = (
    "Let more of the network learn (--strategy full), train for longer, or use a larger backbone."
)
UNDECIDED = "Put more images into validation before trusting a comparison."

_LONGER = "Train for longer (--epochs), or use a larger backbone."
_PRETRAINED = "Begin with a pre-trained network: leave out --strategy scratch."
INSTEAD = {
    (OVERFITTING, "probe"): "Add images if you can, or let the last stage learn as well "
    "(--strategy partial): a solved head leaves the features as they are.",
    (OVERFITTING, "partial"): "Add images if you can; otherwise vary them more (--augment strong), "
    "or train for fewer epochs.",
    (OVERFITTING, "scratch"): _PRETRAINED,
    (UNDERFITTING, "full"): _LONGER,
    (UNDERFITTING, "gradual"): _LONGER,
    (UNDERFITTING, "two-phase"): _LONGER,
    (UNDERFITTING, "scratch"): _PRETRAINED,
}
"""What to try next where a strategy has done already, or cannot do, what is advised in general."""


def for_strategy(diagnosis: Mapping[str, Any], strategy: str) -> dict[str, Any]:
    """Return a diagnosis whose advice is none that the run has followed already.

    Args:
        diagnosis: Of `diagnose` or `diagnose_score`.
        strategy: The run's.

    Example:
        >>> for_strategy({"next": UNDERFITTING}, "full")["next"]
        'Train for longer (--epochs), or use a larger backbone.'
    """
    advice = diagnosis["next"]
    for (general, done_by), instead in INSTEAD.items():
        if done_by == strategy:
            advice = advice.replace(general, instead)
    return {**diagnosis, "next": advice}


def diagnose(train: Tally, val: Tally, *, classes: int) -> dict[str, Any]:
    """Say what the two accuracies mean, with the evidence and what to try next.

    Both are measured in eval mode on clean images, so they can be compared. A gap counts only where
    the two 95 % intervals, which count distinct images, do not overlap; a model counts as
    underfitting where its training accuracy is surely below 90 %.

    Args:
        train: Of at least one training image.
        val: Of at least one validation image.
        classes: Number of classes.

    Returns:
        `verdict` (`good fit`, `overfitting`, `underfitting` or `undecided`), `train_accuracy`,
        `val_accuracy`, `evidence`, `next`.

    Example:
        >>> learned = Tally.of([True] * 1000)
        >>> diagnose(learned, Tally.of([True] * 147 + [False] * 6), classes=2)["verdict"]
        'good fit'
        >>> diagnose(learned, Tally.of([True] * 75 + [False] * 25), classes=2)["verdict"]
        'overfitting'
        >>> copies = Tally.of([True] * 80, identities=[number % 8 for number in range(80)])
        >>> diagnose(learned, copies, classes=2)["verdict"]
        'undecided'
    """
    (train_low, train_high), (val_low, val_high) = train.interval, val.interval
    gap = train.distinct_accuracy - val.distinct_accuracy
    evidence = (
        f"{_share(train, 'training')} and {_share(val, 'validation')} are right, a gap of "
        f"{gap * 100:.1f} points"
    )
    if train_high < 0.9 and gap < 0.1:
        verdict = "underfitting"
        evidence += "; even the training images are not learned"
        advice = UNDERFITTING
    elif val_high < train_low and gap > 0.05:
        verdict = "overfitting"
        evidence += "; the two intervals do not overlap"
        advice = OVERFITTING
    elif val_high - val_low > 0.2:
        verdict = "undecided"
        kind = "distinct validation" if val.distinct < val.images else "validation"
        evidence += f"; {val.distinct} {kind} images leave {val_low:.0%} to {val_high:.0%} open"
        advice = UNDECIDED
    else:
        verdict = "good fit"
        evidence += "; what is learned carries over"
        advice = (
            "Look at the mistakes in report.html before training more; better labels or images may "
            "be worth more."
        )
    if val_low <= 1 / classes:
        advice = (
            f"The result is not distinguishable from guessing among {classes} classes: check the "
            "labels and that the images show the classes."
        )
    return {
        "verdict": verdict,
        "train_accuracy": train.accuracy,
        "val_accuracy": val.accuracy,
        "evidence": evidence + ".",
        "next": advice,
    }


def _share(tally: Tally, split: str) -> str:
    """Return the share that is right in words: of the images, or of the distinct ones."""
    if tally.distinct == tally.images:
        return f"{tally.accuracy:.1%} of {tally.images} {split} images"
    return f"{tally.distinct_accuracy:.1%} of {tally.distinct} distinct {split} images"


def diagnose_score(
    metric: str,
    train: Mapping[str, Any],
    val: Mapping[str, Any],
    *,
    guessed: float,
    learned: float,
) -> dict[str, Any]:
    """Say what the scores of a task other than classification mean, as `diagnose` does.

    Args:
        metric: Name of the score, such as "R2"; higher is better and 1 is perfect.
        train: The metrics of clean training images: `metric`, `distinct_<metric>`, `interval`,
            `images`.
        val: Those of the validation images.
        guessed: The score of one who has not looked at the images.
        learned: Training score below which, surely, not even the training images are learned.

    Returns:
        `verdict`, `train_score`, `val_score`, `evidence`, `next`.

    Example:
        >>> train = {"R2": 0.95, "distinct_R2": 0.95, "interval": [0.93, 0.97], "images": 200}
        >>> val = {"R2": 0.6, "distinct_R2": 0.6, "interval": [0.5, 0.7], "images": 80}
        >>> diagnose_score("R2", train, val, guessed=0.0, learned=0.5)["verdict"]
        'overfitting'
    """
    document = {"train_score": train[metric], "val_score": val[metric]}
    intervals = train["interval"], val["interval"]
    if None in (train[metric], val[metric], *intervals):
        split = "training" if None in (train[metric], train["interval"]) else "validation"
        return {
            "verdict": "undecided",
            **document,
            "evidence": f"{metric} with an interval is not defined for the {split} images.",
            "next": "Put more, and more different, images into validation.",
        }
    (_, train_high), (val_low, val_high) = intervals
    train_low = intervals[0][0]
    gap = train[f"distinct_{metric}"] - val[f"distinct_{metric}"]
    evidence = (
        f"{metric} is {train[metric]:.3f} on {train['images']} training images and "
        f"{val[metric]:.3f} on {val['images']} validation images, a gap of {gap:.3f}"
    )
    if train_high < learned and gap < 0.1:
        verdict = "underfitting"
        evidence += "; even the training images are not learned"
        advice = f"{UNDERFITTING} Check that the images show what the table says."
    elif val_high < train_low and gap > 0.05:
        verdict = "overfitting"
        evidence += "; the two intervals do not overlap"
        advice = OVERFITTING
    elif val_high - val_low > 0.2:
        verdict = "undecided"
        evidence += f"; the validation images leave {val_low:.3f} to {val_high:.3f} open"
        advice = UNDECIDED
    else:
        verdict = "good fit"
        evidence += "; what is learned carries over"
        advice = (
            "Look at the largest errors in predictions.csv before training more; better labels or "
            "images may be worth more."
        )
    if val_low <= guessed:
        advice = (
            f"The result is not distinguishable from guessing, which gives {guessed:.3f}: check "
            "the table and that the images show what it says."
        )
    return {"verdict": verdict, **document, "evidence": evidence + ".", "next": advice}
