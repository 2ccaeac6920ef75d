"""Classifiers of features that learn nothing: the neighbours' vote, and the nearest class mean.

What a probe must beat, and all that a handful of images supports.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from graft.errors import RecipeError
from graft.heads.solver.lbfgs import Array

NEIGHBOURS = (1, 3, 5, 10, 20, 50)
"""Numbers of neighbours among which leave-one-out chooses."""

TEMPERATURE = 0.07
"""A neighbour's vote counts exp(similarity / this), as in Wu et al."""

_BLOCK_ROWS = 1024


def prototypes(
    train: Array, labels: NDArray[np.intp], features: Array, classes: int | None = None
) -> Array:
    """Return the cosine similarity of features to the mean direction of each class.

    Features are centred on the training rows' mean first, so that directions differ.

    Args:
        train: Shape (N, D).
        labels: Shape (N,), each class present.
        features: Shape (M, D), the rows to classify.
        classes: K; None means those of `labels`.

    Returns:
        Scores (M, K), -1 to 1.

    Source:
        Snell et al. 2017, Prototypical Networks, arXiv:1703.05175; centring as in SimpleShot, Wang
        et al. 2019, arXiv:1911.04623.

    Example:
        >>> train, labels = np.array([[0.0, 1.0], [0.2, 1.0], [1.0, 0.0]]), np.array([0, 0, 1])
        >>> prototypes(train, labels, np.array([[0.1, 0.9], [0.9, 0.1]])).argmax(axis=1).tolist()
        [0, 1]
    """
    known, asked = _directions(train, train), _directions(features, train)
    members = np.eye(classes or int(labels.max()) + 1, dtype=known.dtype)[labels]
    means = _unit(members.T @ known)
    scores: Array = asked @ means.T
    return scores


def knn(
    train: Array,
    labels: NDArray[np.intp],
    features: Array,
    classes: int | None = None,
    k: int | Sequence[int] = NEIGHBOURS,
) -> Array:
    """Return each class's share of the votes of the most similar training rows.

    Similarity is the cosine, after centring as in `prototypes`; a vote counts the more, the more
    similar the neighbour.

    Args:
        train: Shape (N, D).
        labels: Shape (N,).
        features: Shape (M, D), the rows to classify.
        classes: K; None means those of `labels`.
        k: Number of neighbours, or numbers to choose from as `choose_k` does.

    Returns:
        Scores (M, K) that sum to 1.

    Raises:
        RecipeError: No neighbour is asked.

    Source:
        Wu et al. 2018, Unsupervised Feature Learning via Non-Parametric Instance Discrimination,
        arXiv:1805.01978.

    Example:
        >>> train, labels = np.array([[0.0, 1.0], [0.2, 1.0], [1.0, 0.0]]), np.array([0, 0, 1])
        >>> knn(train, labels, np.array([[0.1, 0.9], [0.9, 0.1]]), k=1).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    chosen = k if isinstance(k, int) else choose_k(train, labels, k)
    known, asked = _directions(train, train), _directions(features, train)
    [votes] = _votes(known, labels, asked, classes, [chosen])
    return votes


def choose_k(train: Array, labels: NDArray[np.intp], k: Sequence[int] = NEIGHBOURS) -> int:
    """Return the number of neighbours that classifies most training rows, each left out in turn.

    Args:
        train: Shape (N, D).
        labels: Shape (N,).
        k: Numbers to choose from; the smallest of equals is chosen.
    """
    numbers = sorted(k)
    if len(train) < 2:
        return numbers[0]
    known = _directions(train, train)
    votes = _votes(known, labels, known, None, numbers, leave_one_out=True)
    right = [int((vote.argmax(axis=1) == labels).sum()) for vote in votes]
    return numbers[int(np.argmax(right))]


def _votes(
    known: Array,
    labels: NDArray[np.intp],
    asked: Array,
    classes: int | None,
    numbers: Sequence[int],
    *,
    leave_one_out: bool = False,
) -> list[Array]:
    """Return the votes (M, K) for each number of neighbours, some rows at a time."""
    if min(numbers) < 1:
        raise RecipeError(f"{min(numbers)} neighbours cannot vote.", "Ask at least one.")
    count = classes or int(labels.max()) + 1
    most = min(max(numbers), len(known) - leave_one_out)
    votes = [np.zeros((len(asked), count)) for _ in numbers]
    for start in range(0, len(asked), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        similar = asked[block] @ known.T
        rows = np.arange(len(similar))
        if leave_one_out:
            similar[rows, start + rows] = -np.inf
        nearest = np.argpartition(-similar, most - 1, axis=1)[:, :most]
        closeness = np.take_along_axis(similar, nearest, axis=1)
        order = np.argsort(-closeness, axis=1, kind="stable")
        nearest = np.take_along_axis(nearest, order, axis=1)
        loudness = np.exp((np.take_along_axis(closeness, order, axis=1) - 1) / TEMPERATURE)
        ballots = rows[:, None] * count + labels[nearest]
        for vote, number in zip(votes, numbers, strict=True):
            cast, weight = ballots[:, :number].ravel(), loudness[:, :number].ravel()
            tally = np.bincount(cast, weight, len(rows) * count).reshape(-1, count)
            vote[block] = tally / tally.sum(axis=1, keepdims=True)
    return votes


def _directions(features: Array, train: Array) -> Array:
    return _unit(features - train.mean(axis=0, dtype=np.float64).astype(train.dtype))


def _unit(rows: Array) -> Array:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Array = rows / np.where(lengths > 0, lengths, 1)
    return unit
