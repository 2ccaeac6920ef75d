"""Classifiers that learn nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

from graft.errors import RecipeError
from graft.probe import baselines
from graft.probe.baselines import TEMPERATURE, knn, prototypes

SEEDS = st.integers(0, 99)


def clouds(seed: int, rows: int = 40, classes: int = 3, width: int = 8):
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    away = rng.standard_normal((classes, width))[labels]
    return (away + rng.standard_normal((rows, width)) + 4).astype(np.float32), labels


def unit(rows: np.ndarray, centre: np.ndarray) -> np.ndarray:
    away = rows - centre
    return away / np.linalg.norm(away, axis=1, keepdims=True)


def voter(k: int) -> KNeighborsClassifier:
    # On the unit sphere the squared distance is 2 - 2 similarity.
    return KNeighborsClassifier(
        k, weights=lambda distance: np.exp(-(distance**2) / 2 / TEMPERATURE)
    )


@settings(deadline=None, max_examples=30)
@given(SEEDS, st.sampled_from([1, 4, 100]), st.sampled_from([7, 1024]))
def test_neighbours_vote_as_scikit_learn_counts_them(seed, k, block):
    train, labels = clouds(seed)
    asked, _ = clouds(seed + 1000, rows=30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baselines, "_BLOCK", block)
        found = knn(train, labels, asked, k=k)
    centre = train.mean(axis=0)
    model = voter(min(k, len(train))).fit(unit(train, centre), labels)
    np.testing.assert_allclose(found, model.predict_proba(unit(asked, centre)), atol=1e-4)


@pytest.mark.parametrize("rows", [1, 2])
def test_one_or_two_rows_are_enough(rows):
    train, labels = np.eye(3, dtype=np.float32)[:rows], np.arange(rows)
    with np.errstate(all="raise"):
        assert knn(train, labels, train, classes=3).shape == (rows, 3)
        assert prototypes(train, labels, train, classes=3).shape == (rows, 3)


def test_nobody_cannot_vote():
    train, labels = clouds(0)
    with pytest.raises(RecipeError, match="0 neighbours"):
        knn(train, labels, train, k=0)


@settings(deadline=None, max_examples=30)
@given(SEEDS)
def test_a_prototype_is_the_mean_direction_of_its_class(seed):
    train, labels = clouds(seed)
    asked, _ = clouds(seed + 1000, rows=30)
    centre = train.mean(axis=0)
    model = NearestCentroid().fit(unit(train, centre), labels)
    means = unit(model.centroids_, 0 * centre)
    expected = unit(asked, centre) @ means.T
    np.testing.assert_allclose(prototypes(train, labels, asked), expected, atol=1e-5)
