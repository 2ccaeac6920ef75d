"""Intervals and paired tests: Wilson, bootstrap, McNemar, Holm."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray


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


Array = NDArray[np.float64]

DRAWS, FEWEST_DRAWS = 1000, 400
MOST_IMAGES = 2500

_ELEMENTS = 1 << 20


def distinct_weights(images: int, identities: Sequence[Hashable] | None) -> tuple[Array, int]:
    """Return the share of each image in its distinct one (images,), and how many are distinct.

    Example:
        >>> distinct_weights(3, ["a", "b", "a"])
        (array([0.5, 1. , 0.5]), 2)
    """
    numbers = _numbers(images, identities)
    counts = np.bincount(numbers)
    return 1 / counts[numbers], len(counts)


def bootstrap_interval(
    statistic: Callable[[Array], Array],
    images: int,
    identities: Sequence[Hashable] | None = None,
    *,
    seed: int = 0,
    draws: int | None = None,
    confidence: float = 0.95,
) -> list[float] | None:
    """Return the percentile interval of a weighted statistic, drawing distinct images anew.

    Copies of one image are drawn together and share its weight, so that ten copies say no more
    than one.

    Args:
        statistic: Takes weights (images, draws) and returns a number for each draw; NaN where a
            draw has none, such as a correlation of equal numbers.
        images: How many there are.
        identities: What copies of one image share; None where each is distinct.
        seed: Another seed draws other images.
        draws: How often; None means 1,000 times; less often, but at least 400 times, of
            more than 2,500 images.
        confidence: Coverage, 0 to 1.

    Returns:
        Lower and upper bound; None where fewer than two images are distinct, or where more than
        half of the draws have no number.

    Source:
        Efron 1979, Bootstrap Methods: Another Look at the Jackknife; over clusters: Davison and
        Hinkley 1997, section 3.8.

    Example:
        >>> values = np.arange(100.0)
        >>> low, high = bootstrap_interval(lambda w: values @ w / w.sum(axis=0), 100)
        >>> 42 < low < 46 and 53 < high < 57
        True
    """
    share, distinct = distinct_weights(images, identities)
    if distinct < 2:
        return None
    numbers = _numbers(images, identities)
    often = draws or max(FEWEST_DRAWS, min(DRAWS, DRAWS * MOST_IMAGES // images))
    found = np.concatenate(
        [
            statistic(times[numbers] * share[:, None])
            for times in _draws(distinct, images, seed, often)
        ]
    )
    found = found[np.isfinite(found)]
    if len(found) < often / 2:
        return None
    edge = (1 - confidence) / 2
    low, high = np.quantile(found, [edge, 1 - edge]).tolist()
    return [low, high]


def _draws(distinct: int, images: int, seed: int, draws: int) -> Iterator[Array]:
    """Yield how often each distinct image is drawn, (distinct, draws), some draws at a time."""
    rng, block = np.random.default_rng(seed), max(1, _ELEMENTS // images)
    for first in range(0, draws, block):
        count = min(block, draws - first)
        chosen = rng.integers(distinct, size=(count, distinct))
        cells = chosen * count + np.arange(count)[:, None]
        times = np.bincount(cells.ravel(), minlength=count * distinct)
        yield times.reshape(distinct, count).astype(np.float64)


def _numbers(images: int, identities: Sequence[Hashable] | None) -> NDArray[np.intp]:
    if identities is None:
        return np.arange(images)
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(identity, len(known)) for identity in identities])


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
