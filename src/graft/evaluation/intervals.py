"""Intervals and tests of accuracies: Wilson, Agresti and Caffo, McNemar, Holm."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any


@dataclass(frozen=True)
class Tally:
    """How many images are right, and of how many distinct ones that is evidence.

    Copies of one image get the same answer, so that ten of them say no more than one. The accuracy
    is that of the images as they were given; the interval, and whatever else is concluded, counts
    each distinct image once.

    Args:
        correct: Images that are right.
        images: All images, copies included.
        distinct_correct: Distinct images that are right; of one whose copies have different labels,
            the share of its copies.
        distinct: Distinct images.

    Example:
        >>> tally = Tally.of([True] * 80, identities=[f"image {n % 8}" for n in range(80)])
        >>> tally.images, tally.distinct, [round(bound, 3) for bound in tally.interval]
        (80, 8, [0.676, 1.0])
    """

    correct: int
    images: int
    distinct_correct: float
    distinct: int

    @classmethod
    def of(cls, right: Iterable[bool], identities: Sequence[Hashable] | None = None) -> Tally:
        """Count answers.

        Args:
            right: Whether each image is right.
            identities: What copies of one image share, such as their content hash; None where each
                image is distinct.
        """
        answers = [bool(answer) for answer in right]
        copies: dict[Hashable, list[bool]] = {}
        for identity, answer in zip(identities or range(len(answers)), answers, strict=True):
            copies.setdefault(identity, []).append(answer)
        shares = sum(sum(group) / len(group) for group in copies.values())
        return cls(sum(answers), len(answers), shares, len(copies))

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Tally:
        """Return the tally that gave a `document`."""
        images, distinct = document["images"], document["distinct_images"]
        right = round(document["accuracy"] * images)
        return cls(right, images, document["distinct_accuracy"] * distinct, distinct)

    @property
    def accuracy(self) -> float:
        """The share of the images that are right."""
        return self.correct / self.images

    @property
    def distinct_accuracy(self) -> float:
        """The share of the distinct images that are right."""
        return self.distinct_correct / self.distinct

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the accuracy on distinct images."""
        return wilson_interval(self.distinct_correct, self.distinct)

    @property
    def document(self) -> dict[str, float | int | list[float]]:
        """Accuracy, interval and both counts, as JSON documents have them."""
        return {
            "accuracy": self.accuracy,
            "interval": list(self.interval),
            "images": self.images,
            "distinct_images": self.distinct,
            "distinct_accuracy": self.distinct_accuracy,
        }


def wilson_interval(correct: float, images: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion, which suits small samples.

    Args:
        correct: Number of images classified correctly, 0 to `images`.
        images: Number of images; none leaves everything open, (0, 1).
        confidence: Coverage, 0 to 1. Default 0.95.

    Returns:
        Lower and upper bound, each within [0, 1].

    Source:
        Wilson 1927; Brown, Cai and DasGupta 2001, Interval Estimation for a Binomial Proportion.

    Example:
        >>> low, high = wilson_interval(147, 153)
        >>> f"{low:.3f} to {high:.3f}"
        '0.917 to 0.982'
    """
    if not images:
        return 0.0, 1.0
    quantile = NormalDist().inv_cdf((1 + confidence) / 2)
    share, spread = correct / images, quantile**2 / images
    centre = (share + spread / 2) / (1 + spread)
    reach = sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    # Rounding must not move the bounds that are 0 and 1 exactly.
    low = centre - reach if correct else 0.0
    high = centre + reach if correct < images else 1.0
    return low, high


def mcnemar(first_only: int, second_only: int) -> float:
    """Return the p-value of the exact McNemar test: as likely to be right as each other?

    Only the images on which the two disagree count; each is a fair coin toss if neither is better.

    Args:
        first_only: Images that only the first model has right.
        second_only: Images that only the second model has right.

    Source:
        McNemar 1947; the exact version is the two-sided binomial test of the disagreements.

    Example:
        >>> mcnemar(0, 0), mcnemar(1, 9)
        (1.0, 0.021484375)
    """
    from scipy.stats import binomtest

    disagreements = first_only + second_only
    return float(binomtest(first_only, disagreements).pvalue) if disagreements else 1.0


def difference_interval(
    first_only: int, second_only: int, images: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the interval of the first model's accuracy minus the second's, on the same images.

    Args:
        first_only: Images that only the first model has right.
        second_only: Images that only the second model has right.
        images: All images, at least 1.
        confidence: Coverage, 0 to 1. Default 0.95.

    Returns:
        Lower and upper bound, each within [-1, 1].

    Source:
        Bonett and Price 2012, Adjusted Wald confidence interval for a difference of binomial
        proportions based on paired data.

    Example:
        >>> low, high = difference_interval(40, 10, 900)
        >>> f"{low:.3f} to {high:.3f}"
        '0.018 to 0.049'
    """
    quantile = NormalDist().inv_cdf((1 + confidence) / 2)
    first, second = (first_only + 1) / (images + 2), (second_only + 1) / (images + 2)
    reach = quantile * sqrt((first + second - (first - second) ** 2) / (images + 2))
    return max(-1.0, first - second - reach), min(1.0, first - second + reach)


def unpaired(first: Tally, second: Tally) -> float:
    """Return the p-value of two accuracies on different images: are they equal but for chance?

    Distinct images count. One right and one wrong image are added to each side, without which the
    test cries wolf where images are few.

    Args:
        first: Such as that of the validation images.
        second: Such as that of the test images.

    Source:
        Agresti and Caffo 2000, Simple and effective confidence intervals for proportions and
        differences of proportions result from adding two successes and two failures.

    Example:
        >>> few, many = Tally.of([True] * 66 + [False] * 34), Tally.of([True] * 771 + [False] * 128)
        >>> round(unpaired(few, few), 3), unpaired(few, many) < 1e-4
        (1.0, True)
    """
    sides = [((t.distinct_correct + 1) / (t.distinct + 2), t.distinct + 2) for t in (first, second)]
    difference = sides[0][0] - sides[1][0]
    spread = sqrt(sum(share * (1 - share) / images for share, images in sides))
    return 2 * NormalDist().cdf(-abs(difference) / spread)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values that allow for having asked several questions at once.

    Args:
        p_values: One per question.

    Source:
        Holm 1979, A simple sequentially rejective multiple test procedure.

    Example:
        >>> holm([0.01, 0.5, 0.03])
        [0.03, 0.5, 0.06]
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
