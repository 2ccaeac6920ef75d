"""The loss of many linear classifiers at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from graft.probe import softmax
from graft.probe.softmax import CURVATURE, HELD_LOSS, SoftmaxLoss

pytestmark = pytest.mark.numeric


def make(seed: int, classes: int, shared: bool, kind=np.float64) -> tuple[SoftmaxLoss, np.ndarray]:
    rng = np.random.default_rng(seed)
    problems, rows, width = 3, 30, 4
    features = rng.standard_normal((rows, width) if shared else (problems, rows, width))
    fold = rng.integers(problems, size=rows)
    inside = np.stack([fold != number for number in range(problems)])
    weights = rng.uniform(0.5, 2, (problems, rows))
    loss = SoftmaxLoss(
        features.astype(kind),
        rng.integers(classes, size=rows),
        classes,
        train=(weights * inside).astype(kind),
        held=(weights * ~inside).astype(kind),
        scale=rng.uniform(0.5, 2, (problems, width)).astype(kind),
        C=0.3,
        kind=kind,
    )
    return loss, rng.standard_normal((problems, classes * (width + 1))).astype(kind)


def by_definition(loss: SoftmaxLoss, problem: int, point: torch.Tensor):
    """Return the value and the held-out loss of one problem."""
    edge = loss.classes * loss.width
    weight, bias = point[:edge].reshape(loss.classes, -1), point[edge:]
    x = torch.from_numpy(loss.features if loss.features.ndim == 2 else loss.features[problem])
    each = cross_entropy(x @ weight.T + bias, torch.from_numpy(loss.labels), reduction="none")
    # Of two classes each holds half of one sigmoid's weights.
    double = 2 if loss.classes == 2 else 1
    penalty = double * (weight * torch.from_numpy(loss.scale[problem])).square().sum() / (2 * 0.3)
    train, held = (torch.from_numpy(part[problem]) for part in (loss.train, loss.held))
    return (each * train).sum() + penalty, (each * held).sum()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 99), st.integers(2, 5), st.booleans(), st.sampled_from([64, 1024]))
def test_values_and_gradients_are_those_of_the_definition(seed, classes, shared, block):
    loss, points = make(seed, classes, shared)
    which = np.array([2, 0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(softmax, "_BLOCK_LOGITS", block)
        values, gradients, notes = loss(points[which], which)
    for row, problem in enumerate(which):
        point = torch.from_numpy(points[problem]).requires_grad_()
        value, held = by_definition(loss, problem, point)
        value.backward()
        assert values[row] == pytest.approx(value.item())
        assert notes[row, HELD_LOSS] == pytest.approx(held.item())
        np.testing.assert_allclose(gradients[row], point.grad, atol=1e-10)


def test_single_precision_says_nearly_the_same():
    exact, points = make(0, 3, True)
    rough, same = make(0, 3, True, np.float32)
    values, gradients, _ = exact(points, np.arange(3))
    near, near_gradients, _ = rough(same, np.arange(3))
    assert near_gradients.dtype == np.float32
    np.testing.assert_allclose(near, values, rtol=1e-5)
    np.testing.assert_allclose(near_gradients, gradients, atol=1e-4)


def test_logits_of_any_size_are_no_obstacle():
    loss, points = make(1, 3, True, np.float32)
    values, gradients, notes = loss(points * 1e4, np.arange(3))
    assert np.isfinite(values).all()
    assert np.isfinite(gradients).all()
    assert np.isfinite(notes).all()


@pytest.mark.parametrize("shared", [True, False])
def test_logits_are_linear_in_the_features(shared):
    loss, points = make(2, 3, shared)
    weight, bias = loss.split(points)
    x = loss.features if shared else loss.features[1]
    np.testing.assert_allclose(loss.logits(points, np.arange(3))[1].T, x @ weight[1].T + bias[1])


def test_the_curvature_at_zero_is_that_of_the_cross_entropy():
    loss, points = make(3, 4, True)
    _, _, notes = loss(points * 0, np.arange(3))
    # At equal probabilities p the Hessian in the logits is p (1 - p) / (1 - p), p off the diagonal.
    np.testing.assert_allclose(notes[:, CURVATURE], loss.train.sum(axis=1) / 4)
