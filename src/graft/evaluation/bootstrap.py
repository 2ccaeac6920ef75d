"""Intervals by a bootstrap over distinct images."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

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
