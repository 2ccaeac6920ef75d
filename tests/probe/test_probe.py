"""The solved probe against scikit-learn: the same optimum, the same cross-validation."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.probe import design, search
from graft.probe import search as probe
from graft.probe.design import WeightedSamples
from graft.probe.search import CS, fit_probe

CLASSES, SEEDS = st.integers(2, 6), st.integers(0, 99)
# Fewer rows than features are rotated, more are not.
WIDTHS = st.sampled_from([3, 200])


def plain(rows: WeightedSamples, **changes: object) -> WeightedSamples:
    fields = {name: getattr(rows, name) for name in WeightedSamples.__dataclass_fields__}
    return WeightedSamples(**{**fields, **changes})


@settings(deadline=None, max_examples=30)
@given(CLASSES, WIDTHS, st.booleans(), st.sampled_from([1, 3]), SEEDS)
def test_the_fit_is_that_of_scikit_learn(
    make_clouds, oracle_fit, classes, width, balanced, views, seed
):
    rows = make_clouds(classes, seed, width=width, balanced=balanced, views=views)
    found = fit_probe(rows, Cs=[0.1])
    weight, bias = oracle_fit(rows, 0.1)
    spread = rows.features.std(axis=0)
    np.testing.assert_allclose(found.weight * spread, weight * spread, atol=2e-5)
    logits = found.bias + found.weight @ rows.features.mean(axis=0)
    np.testing.assert_allclose(logits, bias + weight @ rows.features.mean(axis=0), atol=2e-5)


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 4), WIDTHS, st.booleans(), st.sampled_from([1, 2]), SEEDS)
def test_the_held_out_losses_are_those_of_scikit_learn_with_a_scaler_in_each_fold(
    make_clouds, oracle_held_out_loss, classes, width, balanced, views, seed
):
    rows = make_clouds(classes, seed, images=7, width=width, balanced=balanced, views=views)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "ROUGH", 1e-10)
        found = fit_probe(rows, seed=seed, Cs=[0.003, 0.1])
    for C in found.scores:
        expected = oracle_held_out_loss(rows, rows.folds(5, seed), C)
        assert found.scores[C] == pytest.approx(expected, rel=1e-4)


@settings(deadline=None, max_examples=10)
@given(CLASSES, SEEDS)
def test_rotating_few_rows_changes_nothing(make_clouds, classes, seed):
    rows = make_clouds(classes, seed, width=150)
    found = []
    for most in (design.REDUCED_ROWS, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(design, "REDUCED_ROWS", most)
            patch.setattr(search, "ROUGH", 1e-10)
            scores = fit_probe(rows, Cs=[1e-4, 1e-3, 1e-2, 1e-1]).scores
            weight = fit_probe(rows, Cs=[0.01]).weight * rows.features.std(axis=0)
        found.append((list(scores.values()), weight))
    (rotated_scores, rotated), (scores, weight) = found
    assert rotated_scores == pytest.approx(scores, rel=1e-3, abs=1e-5)
    np.testing.assert_allclose(rotated, weight, atol=1e-5)


def test_repeating_every_view_of_an_image_changes_nothing(make_clouds):
    once = make_clouds(3, 0)
    index = np.arange(len(once.labels)).repeat(4)
    often = plain(
        once,
        features=once.features[index],
        labels=once.labels[index],
        groups=index,
        clean=np.ones(len(index), bool),
    )
    one, other = fit_probe(once), fit_probe(often)
    assert other.C == one.C
    assert list(other.scores.values()) == pytest.approx(list(one.scores.values()), rel=1e-3)
    np.testing.assert_allclose(other.weight, one.weight, rtol=1e-3, atol=1e-6)


def test_features_that_are_rarely_active_do_not_mislead_the_search():
    """They vary little in some folds and much outside, as those behind a ReLU may."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((600, 300)).astype(np.float32)
    y = (x[:, :5].sum(axis=1) + rng.standard_normal(600) > 0).astype(int)
    x[:, 250:] = 0
    for column in range(250, 300):
        x[rng.choice(600, 2), column] = rng.uniform(1, 100, 2) * [1, 0.01]
    rows = WeightedSamples(x, y, 2, np.arange(600), np.ones(600, bool), False)
    quick = fit_probe(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "ROUGH", 1e-10)
        assert quick.C == fit_probe(rows).C


def test_twice_the_same_question_gets_the_same_bits(make_clouds):
    rows = make_clouds(3, 0, images=150)
    np.random.seed(1)
    one = fit_probe(rows, seed=7)
    np.random.seed(2)
    other = fit_probe(rows, seed=7)
    assert (one.weight == other.weight).all()
    assert one.scores == other.scores
    assert fit_probe(rows, seed=8).scores != one.scores


def test_many_images_choose_the_strength_on_a_draw_and_are_all_fitted(
    make_clouds, oracle_fit, monkeypatch
):
    monkeypatch.setattr(probe, "SEARCH_IMAGES", 100)
    rows = make_clouds(2, 0, images=300)
    found = fit_probe(rows, calibrate=False)
    assert found.images == 100
    assert found.scores
    weight, _ = oracle_fit(rows, found.C)
    spread = rows.features.std(axis=0)
    np.testing.assert_allclose(found.weight * spread, weight * spread, atol=1e-4)


def test_a_strength_at_the_edge_of_those_offered_is_marked(make_clouds):
    rows = make_clouds(3, 0)
    assert fit_probe(rows, Cs=CS[:4]).at_edge
    inside = fit_probe(make_clouds(3, 0, width=150, noise=8), Cs=CS)
    assert not inside.at_edge
    assert not fit_probe(rows, Cs=[0.1]).at_edge


def test_where_no_class_has_two_images_the_middle_strength_is_taken(make_clouds):
    found = fit_probe(make_clouds(3, 0, images=1), Cs=[1e-3, 1e-2, 1e-1])
    assert (found.C, found.scores, found.images, found.at_edge) == (1e-2, {}, 0, False)


def test_calibration_divides_the_logits_alone(make_clouds):
    rows = make_clouds(3, 0, images=60, width=100, noise=4)
    # Only fits that are far too sure are on offer.
    raw = fit_probe(rows, Cs=[10.0, 100.0], calibrate=False)
    found = fit_probe(rows, Cs=[10.0, 100.0])
    assert found.temperature > 1.2
    np.testing.assert_allclose(found.weight * found.temperature, raw.weight)
    np.testing.assert_allclose(found.bias * found.temperature, raw.bias)


def test_memory_beyond_the_features_is_about_one_copy(monkeypatch):
    monkeypatch.setattr(probe, "SEARCH_IMAGES", 1000)
    monkeypatch.setattr(probe, "_DOUBLE_ELEMENTS", 0)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40_000, 256), np.float32), rng.integers(2, size=40_000)
    rows = WeightedSamples(x, y, 2, np.arange(40_000), np.ones(40_000, bool), False)
    tracemalloc.start()
    fit_probe(rows, Cs=[1e-4, 1e-3])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1.5 * x.nbytes


def test_solving_loads_neither_torch_nor_scikit_learn_nor_scipy():
    code = (
        "import sys, numpy as np\n"
        "from graft.probe.search import fit_probe\n"
        "from graft.probe.design import WeightedSamples\n"
        "x, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2\n"
        "fit_probe(WeightedSamples(x, y, 2, np.arange(40), np.ones(40, bool), True))\n"
        "print({'torch', 'sklearn', 'scipy'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"
