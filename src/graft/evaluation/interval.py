"""How far an accuracy on few images can be trusted."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist


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
    quantile = NormalDist().inv_cdf((1 + confidence) / 2)
    share, spread = correct / images, quantile**2 / images
    centre = (share + spread / 2) / (1 + spread)
    reach = sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    # Rounding must not move the bounds that are 0 and 1 exactly.
    low = centre - reach if correct else 0.0
    high = centre + reach if correct < images else 1.0
    return low, high
