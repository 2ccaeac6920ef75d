"""Training and validation read together: underfitting, overfitting or a good fit, in words."""

from __future__ import annotations

from typing import Any

from graft.evaluation.interval import wilson_interval


def diagnose(
    train_correct: int, train_images: int, val_correct: int, val_images: int, *, classes: int
) -> dict[str, Any]:
    """Say what the two accuracies mean, with the evidence and what to try next.

    Both are measured in eval mode on clean images, so they can be compared. A gap counts only where
    the two 95 % intervals do not overlap; a model counts as underfitting where its training
    accuracy is surely below 90 %.

    Args:
        train_correct: Training images classified correctly, of `train_images`.
        train_images: At least 1.
        val_correct: Validation images classified correctly, of `val_images`.
        val_images: At least 1.
        classes: Number of classes.

    Returns:
        `verdict` (`good fit`, `overfitting`, `underfitting` or `undecided`), `train_accuracy`,
        `val_accuracy`, `evidence`, `next`.

    Example:
        >>> diagnose(244, 244, 147, 153, classes=2)["verdict"]
        'good fit'
        >>> diagnose(1000, 1000, 75, 100, classes=2)["verdict"]
        'overfitting'
    """
    train, val = train_correct / train_images, val_correct / val_images
    train_low, train_high = wilson_interval(train_correct, train_images)
    val_low, val_high = wilson_interval(val_correct, val_images)
    gap = train - val
    evidence = (
        f"{train:.1%} of {train_images} training images and {val:.1%} of {val_images} validation "
        f"images are right, a gap of {gap * 100:.1f} points"
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
        evidence += f"; {val_images} validation images leave {val_low:.0%} to {val_high:.0%} open"
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
        "train_accuracy": train,
        "val_accuracy": val,
        "evidence": evidence + ".",
        "next": advice,
    }
