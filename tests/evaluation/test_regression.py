"""Promises of the metrics for numbers, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from graft.evaluation.regression import metrics

pytestmark = pytest.mark.numeric


def answers(seed, images=50, offset=0.0):
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal(images) + offset
    return torch.from_numpy(truth + 0.5 * rng.standard_normal(images)), torch.from_numpy(truth)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 999), st.sampled_from([0.0, 1e4]))
def test_the_metrics_are_scikit_learns(seed, offset):
    said, truth = answers(seed, offset=offset)
    found = metrics(said[:, None], truth)
    assert found["R2"] == pytest.approx(r2_score(truth, said), rel=1e-6)
    assert found["MAE"] == pytest.approx(mean_absolute_error(truth, said))
    assert found["RMSE"] == pytest.approx(root_mean_squared_error(truth, said))
    assert found["loss"] == pytest.approx(found["RMSE"] ** 2)
    for score, interval in (("R2", "interval"), ("MAE", "MAE_interval"), ("RMSE", "RMSE_interval")):
        low, high = found[interval]
        assert low < found[score] < high


def test_the_interval_is_that_of_drawing_images_anew():
    said, truth = answers(0, images=30)
    rng = np.random.default_rng(1)
    drawn = (rng.integers(30, size=30) for _ in range(600))
    scores = [r2_score(truth[rows], said[rows]) for rows in drawn]
    expected = np.quantile(scores, [0.025, 0.975])
    np.testing.assert_allclose(metrics(said, truth)["interval"], expected, atol=0.08)


def test_equal_numbers_have_no_r2_and_the_reason_is_said():
    found = metrics(torch.tensor([1.0, 2.0, 3.0]), torch.full((3,), 2.5))
    assert found["R2"] is found["interval"] is found["distinct_R2"] is None
    assert found["undefined"] == "R2 is not defined: all 3 images have the value 2.5."
    assert found["MAE"] == pytest.approx(2.5 / 3)
    assert found["MAE_interval"] is not None


def test_one_image_has_an_error_and_no_interval():
    found = metrics(torch.tensor([1.0]), torch.tensor([3.0]))
    assert (found["MAE"], found["RMSE"], found["MAE_interval"]) == (2, 2, None)
    assert "the only image has the value 3" in found["undefined"]


def test_copies_are_no_evidence():
    said, truth = answers(0, images=20)
    alone = metrics(said, truth)
    tenfold = metrics(said.repeat(10), truth.repeat(10), list(range(20)) * 10)
    assert (tenfold["images"], tenfold["distinct_images"]) == (200, 20)
    for interval in ("interval", "MAE_interval", "RMSE_interval"):
        np.testing.assert_allclose(tenfold[interval], alone[interval], rtol=1e-6)
