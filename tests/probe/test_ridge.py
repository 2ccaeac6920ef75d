"""Promises of the solved head for numbers, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from graft.probe.ridge import ALPHAS, solve_ridge

pytestmark = pytest.mark.numeric


def examples(seed=0, images=60, width=10):
    rng = np.random.default_rng(seed)
    features = (rng.standard_normal((images, width)) * rng.uniform(0.1, 5, width) + 3).astype("f4")
    values = (features - 3) @ rng.standard_normal(width) + 2 * rng.standard_normal(images) + 100
    return torch.from_numpy(features), torch.from_numpy(values)


def predicted(found, features):
    return (features @ found.weight.T + found.bias)[:, 0].numpy()


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 99), st.sampled_from([(60, 10), (20, 40)]), st.sampled_from([0.1, 10, 1e4]))
def test_the_fit_is_scikit_learns_ridge_whatever_the_shape(seed, shape, alpha):
    features, values = examples(seed, *shape)
    found = solve_ridge(features, values, alphas=[alpha])
    model = make_pipeline(StandardScaler(), Ridge(alpha)).fit(features.double(), values)
    np.testing.assert_allclose(predicted(found, features), model.predict(features), rtol=1e-4)


def test_the_chosen_penalty_is_scikit_learns_by_the_same_folds():
    features, values = examples(images=20, width=15)
    alphas = sorted(ALPHAS[::4], reverse=True)
    found = solve_ridge(features, values, folds=20, alphas=alphas)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), Ridge()),
        {"ridge__alpha": alphas},
        scoring="neg_mean_squared_error",
        cv=KFold(20),
    ).fit(features.double(), values)
    assert pytest.approx(search.best_params_["ridge__alpha"]) == 1 / found.C
    np.testing.assert_allclose(
        [found.scores[1 / alpha] for alpha in alphas],
        -search.cv_results_["mean_test_score"],
        rtol=1e-4,
    )


def test_it_predicts_as_well_as_ridge_cv():
    features, values = examples(images=300, width=50)
    found = solve_ridge(features[:200], values[:200])
    model = make_pipeline(StandardScaler(), RidgeCV(ALPHAS)).fit(features[:200], values[:200])
    own, theirs = (
        float(np.square(said - values[200:].numpy()).mean())
        for said in (predicted(found, features[200:]), model.predict(features[200:]))
    )
    assert own < 1.02 * theirs


def test_views_of_an_image_share_its_fold_and_its_weight():
    features, values = examples()
    once = solve_ridge(features, values)
    twice = solve_ridge(
        features.repeat(2, 1),
        values.repeat(2),
        groups=torch.arange(60).repeat(2),
        clean=torch.arange(120) < 60,
    )
    assert once.C == twice.C
    np.testing.assert_allclose(twice.weight, once.weight, rtol=1e-4, atol=1e-6)
    for C, loss in once.scores.items():
        assert twice.scores[C] == pytest.approx(loss, rel=1e-6)


@pytest.mark.parametrize("constant", ["features", "values", "one image"])
def test_where_nothing_can_be_learned_every_image_gets_the_mean(constant):
    features, values = examples()
    if constant == "features":
        features = torch.ones_like(features)
    elif constant == "values":
        values = torch.full_like(values, 7.0)
    else:
        features, values = features[:1], values[:1]
    found = solve_ridge(features, values)
    np.testing.assert_allclose(predicted(found, features), float(values.mean()), rtol=1e-5)
    assert found.constant or constant == "values"


def test_large_numbers_lose_no_digits():
    features, values = examples()
    near, far = solve_ridge(features, values), solve_ridge(features, values + 1e6)
    np.testing.assert_allclose(far.weight, near.weight, rtol=1e-4)


def test_held_out_numbers_have_the_cross_validated_error():
    features, values = examples()
    found = solve_ridge(features, values)
    error = (found.held_out[:, 0] - values).square().mean()
    assert float(error) == pytest.approx(found.scores[found.C], rel=1e-5)
