"""Promises of the solved head for several labels, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from graft.heads.linear import LinearHead
from graft.probe.multilabel import solve_labels
from graft.probe.search import CS

pytestmark = pytest.mark.numeric


def examples(seed=0, images=120, width=12, labels=3):
    rng = np.random.default_rng(seed)
    features = (rng.standard_normal((images, width)) * rng.uniform(0.1, 5, width) + 3).astype("f4")
    truth = (features - 3) @ rng.standard_normal((width, labels)) + rng.standard_normal(
        (images, labels)
    )
    return torch.from_numpy(features), torch.from_numpy((truth > 0).astype(int))


@pytest.mark.parametrize("balanced", [False, True])
def test_each_label_is_scikit_learns_logistic_regression_at_the_chosen_c(balanced):
    features, targets = examples()
    found = solve_labels(features, targets, Cs=CS[::6], balanced=balanced)
    scaled = StandardScaler().fit_transform(features.double())
    for label, part in enumerate(found.parts):
        model = LogisticRegression(
            C=part.C,
            tol=1e-10,
            max_iter=10_000,
            class_weight="balanced" if balanced else None,
        ).fit(scaled, targets[:, label])
        logits = (features @ found.weight[label] + found.bias[label]) * part.temperature
        np.testing.assert_allclose(logits, model.decision_function(scaled), atol=2e-3, rtol=1e-3)


def test_a_label_that_all_or_no_image_has_keeps_its_frequency():
    features, targets = examples()
    targets[:, 1], targets[:, 2] = 0, 1
    found = solve_labels(features, targets, Cs=CS[::10])
    probabilities = (features @ found.weight.T + found.bias).sigmoid()
    np.testing.assert_allclose(probabilities[:, 1], 1 / 122, rtol=1e-5)
    np.testing.assert_allclose(probabilities[:, 2], 121 / 122, rtol=1e-5)
    assert [part.constant for part in found.parts] == [False, True, True]


def test_it_fits_into_a_head_and_its_score_is_the_labels_mean_loss():
    features, targets = examples()
    found = solve_labels(features, targets, Cs=CS[::10])
    head = LinearHead(features.shape[1], 3)
    found.install(head)
    with torch.no_grad():
        np.testing.assert_allclose(
            head(features), features @ found.weight.T + found.bias, atol=1e-4
        )
    losses = [part.scores[part.C] for part in found.parts]
    assert found.scores[found.C] == pytest.approx(np.mean(losses))


def test_held_out_outputs_have_the_labels_cross_validated_losses():
    features, targets = examples()
    targets[:, 2] = 1
    found = solve_labels(features, targets, Cs=CS[::10])
    for label, part in enumerate(found.parts[:2]):
        logits = found.held_out[:, label] * part.temperature
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, targets[:, label].float()
        )
        assert float(loss) == pytest.approx(part.scores[part.C], rel=1e-4)
    assert (found.held_out[:, 2] == found.bias[2]).all()
