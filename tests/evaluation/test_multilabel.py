"""Promises of the metrics for several labels, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, log_loss, precision_recall_curve

from graft.evaluation.multilabel import average_precision, best_thresholds, metrics

pytestmark = pytest.mark.numeric

SEEDS = st.integers(0, 999)


def answers(seed, images=40, labels=3, digits=1):
    rng = np.random.default_rng(seed)
    logits = np.round(2 * rng.standard_normal((images, labels)), digits)
    truth = (logits + 2 * rng.standard_normal((images, labels)) > 0).astype(int)
    truth[0] = 1
    return torch.from_numpy(logits).float(), torch.from_numpy(truth)


def named(count):
    return [f"label {number}" for number in range(count)]


@settings(deadline=None, max_examples=25)
@given(SEEDS, st.booleans())
def test_average_precision_is_scikit_learns_with_ties_and_weights(seed, weighted):
    logits, truth = answers(seed)
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 3, 40).astype(float) if weighted else np.ones(40)
    weights[0] = 1
    found = average_precision(
        logits[:, 0].double().numpy(), truth[:, 0].numpy() > 0, weights[:, None]
    )
    expected = average_precision_score(truth[:, 0], logits[:, 0], sample_weight=weights)
    np.testing.assert_allclose(found, [expected], rtol=1e-12)


@settings(deadline=None, max_examples=5)
@given(SEEDS)
def test_the_metrics_are_scikit_learns(seed):
    logits, truth = answers(seed)
    thresholds = (0.3, 0.5, 0.8)
    found = metrics(logits, truth, named(3), thresholds)
    probabilities = logits.double().sigmoid().numpy()
    said = probabilities >= np.array(thresholds)
    assert found["mAP"] == pytest.approx(average_precision_score(truth, probabilities))
    assert found["macro_f1"] == pytest.approx(f1_score(truth, said, average="macro"))
    assert found["micro_f1"] == pytest.approx(f1_score(truth, said, average="micro"))
    assert found["loss"] == pytest.approx(log_loss(truth.ravel(), probabilities.ravel()), rel=1e-6)
    for index, label in enumerate(named(3)):
        row = found["per_label"][label]
        assert row["f1"] == pytest.approx(f1_score(truth[:, index], said[:, index]))
        assert row["threshold"] == thresholds[index]
        assert row["support"] == int(truth[:, index].sum())
    low, high = found["interval"]
    assert low < found["mAP"] < high


@settings(deadline=None, max_examples=25)
@given(SEEDS, st.integers(1, 3))
def test_no_threshold_has_a_better_f1_than_the_chosen_one(seed, digits):
    logits, truth = answers(seed, images=15, labels=2, digits=digits)
    probabilities = logits.double().sigmoid()
    for index, threshold in enumerate(best_thresholds(probabilities, truth)):
        precision, recall, _ = precision_recall_curve(truth[:, index], probabilities[:, index])
        best = (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()
        said = probabilities[:, index] >= threshold
        assert f1_score(truth[:, index], said) == pytest.approx(best)


@pytest.mark.parametrize(
    ("probabilities", "truth", "threshold"),
    [
        ([0.9, 0.1], [0, 0], 0.5),  # no image has the label
        ([0.9, 0.8], [1, 1], 0.5),  # all have it, and 0.5 says so
        ([0.3, 0.2], [1, 1], 0.1),  # all have it
        ([0.9, 0.2], [1, 0], 0.5),  # 0.5 is among the best
        ([0.5, 0.5], [1, 0], 0.5),  # nothing tells them apart
    ],
)
def test_among_equal_thresholds_the_nearest_to_a_half_is_taken(probabilities, truth, threshold):
    found = best_thresholds(torch.tensor(probabilities)[:, None], torch.tensor(truth)[:, None])
    assert found == (pytest.approx(threshold),)


def test_a_label_that_no_image_has_enters_no_mean():
    logits, truth = answers(0)
    without = metrics(logits[:, :2], truth[:, :2], named(2))
    truth[:, 2] = 0
    found = metrics(logits, truth, named(3))
    assert found["per_label"]["label 2"]["average_precision"] is None
    assert found["per_label"]["label 2"]["f1"] is None
    assert found["per_label"]["label 2"]["threshold"] == 0.5
    assert (found["mAP"], found["interval"]) == (without["mAP"], without["interval"])
    assert found["macro_f1"] == without["macro_f1"]


def test_without_any_label_there_is_no_score():
    logits, truth = answers(0)
    found = metrics(logits, 0 * truth, named(3))
    assert found["mAP"] is found["interval"] is found["macro_f1"] is None


def test_copies_widen_no_interval_and_narrow_none():
    logits, truth = answers(0, images=20)
    alone = metrics(logits, truth, named(3))
    tenfold = metrics(
        logits.repeat(10, 1), truth.repeat(10, 1), named(3), None, list(range(20)) * 10
    )
    assert (tenfold["images"], tenfold["distinct_images"]) == (200, 20)
    np.testing.assert_allclose(tenfold["interval"], alone["interval"])
    assert tenfold["distinct_mAP"] == pytest.approx(alone["mAP"])
