"""The search for a C along the regularisation path."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graft.probe import search as module
from graft.probe.design import Design
from graft.probe.search import CS, LEAST_TRIED, TURNED, search
from graft.probe.softmax import SoftmaxLoss


@pytest.fixture(params=[False, True], ids=["shared", "rotated"])
def problem(request, make_clouds) -> tuple[SoftmaxLoss, Design]:
    """Noisy clouds, for which weak regularisation is bad, in three folds."""
    images, width = (10, 200) if request.param else (200, 40)
    rows = make_clouds(2, 0, images=images, width=width, noise=8)
    design = Design.of(rows.features, np.ones(len(rows.labels)))
    assert (design.basis is not None) is request.param
    fold = rows.folds(3, 0)
    inside = np.stack([rows.shares(fold != number) for number in range(3)])
    features, scale = design.inside(inside)
    kind = design.columns.dtype.type
    arrays = (part.astype(kind) for part in (inside, 1 - inside, scale))
    return SoftmaxLoss(features, rows.labels, 2, *arrays, kind=kind), design


def test_a_strength_gets_the_same_loss_on_the_path_and_alone(problem):
    loss, design = problem
    path = search(loss, design, CS)
    for C in list(path.losses)[::6]:
        alone = search(loss, design, [C])
        assert path.losses[C] == pytest.approx(alone.losses[C], abs=2e-3)


def test_the_strength_with_the_least_held_out_loss_is_chosen_with_its_fits(problem):
    loss, design = problem
    path = search(loss, design, CS)
    assert path.losses[path.C] == min(path.losses.values())
    _, _, notes = replace(loss, C=path.C)(path.points, np.arange(3))
    held = notes[:, module.HELD_LOSS].sum() / loss.held.sum()
    assert held == pytest.approx(path.losses[path.C], rel=1e-5)


def test_at_least_twenty_strengths_are_tried_and_then_no_more_than_needed(problem):
    loss, design = problem
    path = search(loss, design, CS)
    *before, last = path.losses.values()
    assert LEAST_TRIED <= len(path.losses) < len(CS)
    assert last > TURNED * min(before)
    if len(path.losses) > LEAST_TRIED:
        assert max(before[before.index(min(before)) :]) <= TURNED * min(before)


def test_twenty_strengths_are_tried_even_where_each_is_worse_than_the_last(problem, monkeypatch):
    loss, design = problem
    rising = iter(range(1, 99))

    def worse(loss, design, start, tolerance):
        return start, np.full((len(start), 2), next(rising))

    monkeypatch.setattr(module, "fit", worse)
    assert len(search(loss, design, CS).losses) == LEAST_TRIED


def test_of_equal_strengths_the_one_that_regularises_more_is_chosen_with_its_fits(
    problem, monkeypatch
):
    loss, design = problem

    def flat(loss, design, start, tolerance):
        return np.full_like(start, loss.C), np.ones((len(start), 2))

    monkeypatch.setattr(module, "fit", flat)
    path = search(loss, design, [0.125, 1.0, 8.0])
    assert path.C == 0.125
    assert (path.points == 0.125).all()


def test_warm_starts_save_most_of_the_work(problem, monkeypatch):
    loss, design = problem
    calls, real = [], SoftmaxLoss.__call__

    def counted(self, points, which):
        calls.append(len(which))
        return real(self, points, which)

    monkeypatch.setattr(SoftmaxLoss, "__call__", counted)
    path = search(loss, design, CS)
    warm = len(calls)
    for C in path.losses:
        search(loss, design, [C])
    assert warm < 0.75 * (len(calls) - warm)
