"""What the tests of heads share: clouds of features, and scikit-learn as the oracle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from graft.probe.design import WeightedSamples

MakeClouds = Callable[..., WeightedSamples]
Fit = Callable[[WeightedSamples, float], tuple[np.ndarray, np.ndarray]]
HeldOutLoss = Callable[[WeightedSamples, np.ndarray, float], float]


@pytest.fixture(scope="session")
def make_clouds() -> MakeClouds:
    """Make a cloud of rows for each class, its features of very different scale and offset."""

    def make(
        classes: int,
        seed: int,
        *,
        images: int = 20,
        width: int = 6,
        noise: float = 1.0,
        views: int = 1,
        balanced: bool = False,
    ) -> WeightedSamples:
        rng = np.random.default_rng(seed)
        labels = np.arange(classes).repeat(images)
        if balanced:  # unequal classes
            labels = np.delete(labels, np.arange(images // 2))
        groups = np.arange(len(labels)).repeat(views)
        labels = labels.repeat(views)
        away = rng.standard_normal((classes, width))[labels]
        x = (away + noise * rng.standard_t(5, away.shape)) * np.logspace(-2, 2, width) + 5
        clean = np.arange(len(labels)) % views == 0
        return WeightedSamples(x.astype(np.float32), labels, classes, groups, clean, balanced)

    return make


def weigh(rows: WeightedSamples, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return shares of groups, and weights, by the definition."""
    shares = np.array([1 / (kept & (rows.groups == group)).sum() for group in rows.groups[kept]])
    labels = rows.labels[kept]
    if not rows.balanced:
        return shares, shares
    present = np.unique(labels)
    totals = {label: shares[labels == label].sum() for label in present}
    factors = [shares.sum() / (len(present) * totals[label]) for label in labels]
    return shares, shares * factors


@pytest.fixture(scope="session")
def oracle_fit() -> Fit:
    """Fit rows with scikit-learn; softmax weights and intercepts for the features as they are."""

    def fit(rows: WeightedSamples, C: float) -> tuple[np.ndarray, np.ndarray]:
        shares, weights = weigh(rows, np.ones(len(rows.labels), bool))
        x = rows.features.astype(np.float64)
        scaler = StandardScaler().fit(x, sample_weight=shares)
        model = LogisticRegression(C=C, tol=1e-9, max_iter=100_000)
        model.fit(scaler.transform(x), rows.labels, sample_weight=weights)
        weight, bias = model.coef_, model.intercept_
        if rows.classes == 2:  # one sigmoid logit z is two softmax logits -z / 2 and z / 2
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        weight = weight / scaler.scale_
        return weight, bias - weight @ scaler.mean_

    return fit


@pytest.fixture(scope="session")
def oracle_held_out_loss() -> HeldOutLoss:
    """Cross-validate with scikit-learn, scaler and classifier fitted in each fold anew."""

    def held_out_loss(rows: WeightedSamples, fold: np.ndarray, C: float) -> float:
        x = rows.features.astype(np.float64)
        measured = rows.clean & (fold >= 0)
        weights_measured = np.zeros(len(fold))
        weights_measured[measured] = weigh(rows, measured)[1]
        total = 0.0
        for number in range(fold.max() + 1):
            inside, held = fold != number, measured & (fold == number)
            shares, weights = weigh(rows, inside)
            scaler = StandardScaler().fit(x[inside], sample_weight=shares)
            model = LogisticRegression(C=C, tol=1e-7, max_iter=100_000)
            model.fit(scaler.transform(x[inside]), rows.labels[inside], sample_weight=weights)
            said = model.predict_proba(scaler.transform(x[held]))
            total += log_loss(
                rows.labels[held],
                said,
                labels=range(rows.classes),
                sample_weight=weights_measured[held],
                normalize=False,
            )
        return total / weights_measured.sum()

    return held_out_loss
