"""Training and validation read together: underfitting, overfitting or a good fit, in words."""

from __future__ import annotations

from typing import Any

from graft.evaluation.intervals import Tally


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
        advice = (
            "Let more of the network learn (--strategy full), train for longer, or use a larger "
            "backbone."
        )
    elif val_high < train_low and gap > 0.05:
        verdict = "overfitting"
        evidence += "; the two intervals do not overlap"
        advice = (
            "Add images if you can; otherwise vary them more (--augment strong), train fewer "
            "stages (--strategy partial), or stop earlier."
        )
    elif val_high - val_low > 0.2:
        verdict = "undecided"
        kind = "distinct validation" if val.distinct < val.images else "validation"
        evidence += f"; {val.distinct} {kind} images leave {val_low:.0%} to {val_high:.0%} open"
        advice = "Put more images into validation before trusting a comparison."
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
