"""Two models on the same images: whether, and by how much, one is better."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist


def mcnemar(first_only: int, second_only: int) -> float:
    """Return the p-value of the exact McNemar test: as likely to be right as each other?

    Only the images on which the two disagree tell; each is a fair coin if neither is better.

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
