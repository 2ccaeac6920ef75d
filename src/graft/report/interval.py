"""An interval for a share of few images."""

from __future__ import annotations

import math


def wilson(right: float, images: float, z: float = 1.959964) -> tuple[float, float]:
    """Return Wilson's score interval for `right` of `images`.

    It stays inside 0 to 1 and is sensible at 0 of n and n of n, where the textbook interval
    has no width.

    Args:
        right: How many were right.
        images: How many there were.
        z: Normal quantile. Default 1.96, for 95%.

    Returns:
        Lower and upper bound; (0, 1) where there were no images.

    Source:
        E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
        Journal of the American Statistical Association 22 (1927).

    Example:
        >>> [round(bound, 3) for bound in wilson(9, 10)]
        [0.596, 0.982]
        >>> [round(bound, 3) for bound in wilson(10, 10)]
        [0.722, 1.0]
    """
    if images <= 0:
        return 0.0, 1.0
    share = right / images
    denominator = 1 + z * z / images
    centre = (share + z * z / (2 * images)) / denominator
    half = z / denominator * math.sqrt(share * (1 - share) / images + z * z / (4 * images**2))
    return max(0.0, centre - half), min(1.0, centre + half)
