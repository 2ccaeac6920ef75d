"""How far an accuracy on few images can be trusted."""

from __future__ import annotations


def wilson_interval(correct: int, images: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion, which suits small samples.

    Args:
        correct: Number of images classified correctly.
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
    from scipy.stats import binomtest

    found = binomtest(correct, images).proportion_ci(confidence, method="wilson")
    return float(found.low), float(found.high)
