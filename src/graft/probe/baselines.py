"""Classifiers of features that learn nothing: the neighbours' vote, and the nearest class mean.

What a probe must beat. Both run in every probe, so they are in NumPy: importing scikit-learn's
neighbours takes most of the time that importing torch does, and the tests compare with them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graft.errors import RecipeError
from graft.probe.lbfgs import Array

TEMPERATURE = 0.07
"""A neighbour's vote counts exp(similarity / this), as in Wu et al."""

_BLOCK = 1024


def prototypes(
    train: Array, labels: NDArray[np.intp], features: Array, classes: int | None = None
) -> Array:
    """Return the cosine similarity of features to the mean direction of each class.

    Features are centred on the training images' mean first, so that directions differ.

    Args:
        train: Shape (N, D).
        labels: Shape (N,), each class present.
        features: Shape (M, D), of the images to classify.
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
    scores: Array = asked @ _unit(members.T @ known).T
    return scores


def knn(
    train: Array,
    labels: NDArray[np.intp],
    features: Array,
    classes: int | None = None,
    k: int = 10,
) -> Array:
    """Return each class's share of the votes of the most similar training images.

    Similarity is the cosine, after centring as in `prototypes`; a vote counts the more, the more
    similar the neighbour.

    Args:
        train: Shape (N, D).
        labels: Shape (N,).
        features: Shape (M, D), of the images to classify.
        classes: K; None means those of `labels`.
        k: Number of neighbours.

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
    if k < 1:
        raise RecipeError(f"{k} neighbours cannot vote.", "Ask at least one.")
    known, asked = _directions(train, train), _directions(features, train)
    count, most = classes or int(labels.max()) + 1, min(k, len(known))
    votes = np.zeros((len(asked), count))
    for start in range(0, len(asked), _BLOCK):
        similar = asked[start : start + _BLOCK] @ known.T
        nearest = np.argpartition(-similar, most - 1, axis=1)[:, :most]
        weight = np.exp((np.take_along_axis(similar, nearest, axis=1) - 1) / TEMPERATURE)
        ballots = np.arange(len(similar))[:, None] * count + labels[nearest]
        tally = np.bincount(ballots.ravel(), weight.ravel(), len(similar) * count)
        votes[start : start + _BLOCK] = tally.reshape(-1, count)
    votes /= votes.sum(axis=1, keepdims=True)
    return votes


def _directions(features: Array, train: Array) -> Array:
    return _unit(features - train.mean(axis=0, dtype=np.float64).astype(train.dtype))


def _unit(vectors: Array) -> Array:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Array = vectors / np.where(lengths > 0, lengths, 1)
    return unit
