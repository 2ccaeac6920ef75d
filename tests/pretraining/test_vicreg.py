"""Promises of VICReg: the paper's equations, their bounds, and what they do not depend on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scipy.linalg import hadamard

from graft.errors import RecipeError
from graft.pretraining.losses import VICReg

pytestmark = pytest.mark.numeric

few = settings(max_examples=15, deadline=None, phases=(Phase.explicit, Phase.generate))
seeds, images, widths = st.integers(0, 999), st.integers(2, 9), st.integers(1, 6)


def views(seed: int, images: int, width: int) -> torch.Tensor:
    return torch.randn(2, images, width, generator=torch.Generator().manual_seed(seed))


def by_loops(first: np.ndarray, second: np.ndarray, weights: tuple[float, ...]) -> dict[str, float]:
    """Equations 1 to 6 of the paper, number by number."""
    images, width = first.shape
    lost = {"invariance": 0.0, "variance": 0.0, "covariance": 0.0}
    for n in range(images):
        for j in range(width):
            difference = first[n, j] - second[n, j]
            lost["invariance"] += weights[0] * difference**2 / (images * width)
    for view in (first, second):
        centred = view - view.mean(axis=0)
        for i in range(width):
            for j in range(width):
                covariance = sum(row[i] * row[j] for row in centred) / (images - 1)
                if i == j:
                    lost["variance"] += weights[1] * max(0, 1 - np.sqrt(covariance + 1e-4)) / width
                else:
                    lost["covariance"] += weights[2] * covariance**2 / width
    return lost


@few
@given(seeds, images, widths, st.tuples(*[st.floats(0, 30)] * 3))
def test_it_is_the_papers_equation(seed, images, width, weights):
    first, second = views(seed, images, width)
    expected = by_loops(first.double().numpy(), second.double().numpy(), weights)
    losses = VICReg(*weights)(first, second)
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(
        expected, rel=1e-3, abs=1e-4
    )


@few
@given(seeds, images, widths)
def test_equal_views_leave_no_invariance_loss(seed, images, width):
    first, _ = views(seed, images, width)
    assert VICReg()(first, first)["invariance"].item() == 0  # differences of equal numbers


@few
@given(seeds, images, widths)
def test_an_offset_of_all_images_does_not_matter(seed, images, width):
    first, second = views(seed, images, width).double()
    plain, moved = VICReg()(first, second), VICReg()(first + 3, second + 3)
    assert all(moved[name].item() == pytest.approx(plain[name].item()) for name in plain)


def test_the_least_value_is_zero_where_dimensions_vary_enough_and_not_together():
    views = torch.tensor(hadamard(8)[:, 1:], dtype=torch.float32)
    assert sum(VICReg()(views, views).values()).item() == pytest.approx(0, abs=1e-6)


def test_constant_projections_cost_the_whole_variance_term_of_both_views():
    losses = VICReg()(torch.full((6, 5), 3.0), torch.full((6, 5), 3.0))
    assert losses["variance"].item() == pytest.approx(25 * 2 * (1 - 0.01))
    assert losses["invariance"].item() == pytest.approx(0, abs=1e-8)
    assert losses["covariance"].item() == pytest.approx(0, abs=1e-8)


def test_one_direction_for_all_costs_the_covariance_of_every_two_dimensions():
    line = torch.tensor([-1.0, 1.0, -1.0, 1.0]).unsqueeze(1).expand(4, 5)  # of variance 4/3
    assert VICReg()(line, line)["covariance"].item() == pytest.approx(2 * 4 * (4 / 3) ** 2)


@pytest.mark.parametrize("weights", [(-1, 25, 1), (25, -1, 1), (25, 25, -1)])
def test_a_negative_weight_is_refused(weights):
    with pytest.raises(RecipeError, match="negative weight"):
        VICReg(*weights)
