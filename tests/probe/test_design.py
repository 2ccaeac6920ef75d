"""Standardised features, perhaps rotated, and the way back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.probe.design import REDUCED_ROWS, Design

pytestmark = pytest.mark.numeric

WIDTHS = pytest.mark.parametrize("width", [5, 90])


def features(seed: int, width: int, rows: int = 40) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, width)) * np.logspace(-3, 3, width) + 10
    return x.astype(np.float32)


@WIDTHS
def test_the_logits_of_a_classifier_of_the_columns_are_those_of_its_translation(width):
    x = features(0, width)
    design = Design.of(x, np.ones(len(x)))
    rng = np.random.default_rng(1)
    coefficients, bias = rng.standard_normal((3, design.columns.shape[1])), rng.standard_normal(3)
    weight, intercept = design.weights(coefficients, bias)
    expected = design.columns @ coefficients.T + bias
    np.testing.assert_allclose(x.astype(float) @ weight.T + intercept, expected, atol=1e-4)
    back, bias_back = design.coefficients(weight, intercept)
    np.testing.assert_allclose(back, coefficients, atol=1e-6)
    np.testing.assert_allclose(bias_back, bias, atol=1e-6)


def test_few_rows_of_wide_features_become_narrow_and_keep_their_inner_products():
    x = features(0, 90)
    design = Design.of(x, np.ones(len(x)))
    standardised = (x - x.mean(axis=0, dtype=float)) / x.std(axis=0, dtype=float)
    assert design.columns.shape == (40, 39), "centred rows span one dimension less"
    gram = standardised @ standardised.T
    np.testing.assert_allclose(design.columns @ design.columns.T, gram, atol=1e-6)


def test_many_rows_are_not_rotated():
    x = features(0, REDUCED_ROWS + 10, rows=REDUCED_ROWS + 1)
    design = Design.of(x, np.ones(len(x)))
    assert design.basis is None
    assert design.columns.dtype == np.float32
    np.testing.assert_allclose(design.columns.std(axis=0), 1, rtol=1e-4)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 99))
def test_a_subset_of_rows_has_the_inner_products_of_its_own_standardisation(seed):
    x = features(seed, 90)
    inside = (np.random.default_rng(seed).random(40) < 0.6).astype(float)
    inside[:2] = 1
    [columns], scale = Design.of(x, np.ones(40)).inside(inside[None])
    chosen = x[inside > 0].astype(float)
    own = (x - chosen.mean(axis=0)) / chosen.std(axis=0)
    away = columns - columns[inside > 0].mean(axis=0)
    np.testing.assert_allclose(away @ away.T, own @ own.T, rtol=1e-5, atol=1e-5)
    assert (scale == 1).all()


def test_a_subset_of_unrotated_rows_is_scaled_by_its_own_deviations():
    x, inside = features(0, 5), np.zeros((1, 40))
    inside[0, 10:] = 1
    columns, scale = Design.of(x, np.ones(40)).inside(inside)
    np.testing.assert_allclose(scale[0], columns[10:].std(axis=0), rtol=1e-5)


@WIDTHS
def test_rows_outside_a_subset_do_not_enter_its_statistics(width):
    x = features(0, width)
    inside = np.ones((1, 40))
    inside[0, 30:] = 0
    changed = x.copy()
    changed[30:] = changed[30:] * 3 - 5
    # In the given features, |t w|^2 is the same penalty whatever the rows outside are.
    penalties = []
    for rows in (x, changed):
        design = Design.of(rows, np.ones(40))
        columns, scale = design.inside(inside)
        if columns.ndim == 2:
            penalties.append(scale * design.inverse[None] ** -1)
        else:
            away = columns[0, :30] - columns[0, :30].mean(axis=0)
            penalties.append(away @ away.T)
    np.testing.assert_allclose(*penalties, rtol=1e-4, atol=1e-6)


@WIDTHS
def test_a_feature_that_varies_outside_a_subset_alone_is_not_blown_up(width):
    x, inside = features(0, width), np.ones((1, 40))
    x[:30, 2], inside[0, 30:] = 7.1, 0
    columns, scale = Design.of(x, np.ones(40)).inside(inside)
    assert np.abs(columns).max() < 100
    assert scale.min() > 0.1


@WIDTHS
def test_rows_may_weigh_differently(width):
    x = features(0, width)
    shares = np.arange(40) % 2.0
    design = Design.of(x, shares)
    np.testing.assert_allclose(design.mean, x[1::2].mean(axis=0, dtype=float))
    np.testing.assert_allclose(1 / design.inverse, x[1::2].std(axis=0, dtype=float))


@WIDTHS
def test_a_feature_that_never_varies_has_no_column_to_speak_of_and_no_weight(width):
    x = features(0, width)
    x[:, 2] = 7.1
    design = Design.of(x, np.ones(40))
    weight, _ = design.weights(np.ones((2, design.columns.shape[1])), np.zeros(2))
    assert (weight[:, 2] == 0).all()
    assert np.isfinite(weight).all()
    again, _ = design.coefficients(weight, np.zeros(2))
    assert np.isfinite(again).all()
