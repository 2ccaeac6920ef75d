"""What rows weigh, and how they are held out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.probe.design import FEWEST, WeightedSamples

pytestmark = pytest.mark.numeric

SEEDS = st.integers(0, 99)


def make(counts: list[int], views: list[int], balanced: bool = False) -> WeightedSamples:
    """Samples: so many images of each class; image i has views[i % len(views)] rows."""
    per_image = np.resize(views, sum(counts))
    labels = np.arange(len(counts)).repeat(counts).repeat(per_image)
    groups = np.arange(sum(counts)).repeat(per_image)
    order = np.random.default_rng(0).permutation(len(labels))
    everything = np.ones(len(labels), bool)
    x = np.arange(len(labels), dtype=np.float32)[:, None]
    return WeightedSamples(x, labels[order], len(counts), groups[order], everything, balanced)


COUNTS = st.lists(st.integers(1, 12), min_size=2, max_size=5)
VIEWS = st.lists(st.integers(1, 4), min_size=1, max_size=4)


@given(COUNTS, VIEWS, st.integers(2, 6), SEEDS)
def test_all_views_of_an_image_are_on_one_side_of_every_fold(counts, views, most, seed):
    rows = make(counts, views)
    fold = rows.folds(most, seed)
    for group in np.unique(rows.groups):
        assert len(set(fold[rows.groups == group])) == 1


@given(COUNTS, VIEWS, st.integers(2, 6), SEEDS)
def test_folds_are_stratified_and_each_knows_every_class(counts, views, most, seed):
    rows = make(counts, views)
    _, first = np.unique(rows.groups, return_index=True)
    fold, labels = rows.folds(most, seed)[first], rows.labels[first]
    several = sum(count for count in counts if count > 1)
    if several < 2:
        assert (fold == -1).all()
        return
    numbers = range(fold.max() + 1)
    assert len(numbers) == min(most, several)
    for label, count in enumerate(counts):
        per_fold = [((fold == number) & (labels == label)).sum() for number in numbers]
        assert max(per_fold) - min(per_fold) <= 1
        assert sum(per_fold) == (count if count > 1 else 0)
    sizes = [(fold == number).sum() for number in numbers]
    assert max(sizes) - min(sizes) <= 1
    for number in numbers:
        assert set(labels[fold != number]) == set(range(len(counts)))


def test_the_seed_deals_the_folds():
    rows = make([20, 20], [1])
    assert (rows.folds(5, 1) == rows.folds(5, 1)).all()
    assert (rows.folds(5, 1) != rows.folds(5, 2)).any()


def test_the_folds_of_images_do_not_depend_on_their_views():
    one, three = make([9, 7], [1]), make([9, 7], [3])
    of_image = dict(zip(one.groups, one.folds(5, 3), strict=True))
    fold = three.folds(5, 3)
    assert all(of_image[group] == fold[row] for row, group in enumerate(three.groups))


@given(COUNTS, VIEWS, SEEDS)
def test_an_image_weighs_one_however_many_views_are_kept(counts, views, seed):
    rows = make(counts, views)
    kept = np.random.default_rng(seed).random(len(rows.labels)) < 0.7
    shares = rows.shares(kept)
    assert (shares[~kept] == 0).all()
    for group in np.unique(rows.groups[kept]):
        assert shares[rows.groups == group].sum() == pytest.approx(1)
    assert (rows.weights(kept) == shares).all()


@given(COUNTS, VIEWS)
def test_balanced_classes_weigh_alike_and_images_one_on_average(counts, views):
    rows = make(counts, views, balanced=True)
    weights = rows.weights(np.ones(len(rows.labels), bool))
    totals = [weights[rows.labels == label].sum() for label in range(len(counts))]
    assert totals == pytest.approx([sum(counts) / len(counts)] * len(counts))


@given(VIEWS, SEEDS)
def test_a_draw_takes_whole_images_of_every_class_in_proportion(views, seed):
    rows = make([200, 97, 3], views)
    drawn = rows.draw(150, seed)
    indices = drawn.features[:, 0].astype(int)
    assert (rows.labels[indices] == drawn.labels).all()
    images = {label: set(rows.groups[indices[drawn.labels == label]]) for label in range(3)}
    assert [len(images[label]) for label in range(3)] == [100, 48, 3]
    assert FEWEST > 3
    taken = np.isin(rows.groups, list(set().union(*images.values())))
    assert taken.sum() == len(indices)
    assert drawn.images == 151
