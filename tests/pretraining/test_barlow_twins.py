"""Promises of Barlow Twins: the paper's equations, their bounds, and what they do not depend on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scipy.linalg import hadamard

from graft.errors import RecipeError
from graft.pretraining.losses import BarlowTwins

pytestmark = pytest.mark.numeric

few = settings(max_examples=15, deadline=None, phases=(Phase.explicit, Phase.generate))
seeds, images, widths = st.integers(0, 999), st.integers(3, 9), st.integers(1, 6)


def views(seed: int, images: int, width: int) -> torch.Tensor:
    first, noise = torch.randn(2, images, width, generator=torch.Generator().manual_seed(seed))
    return torch.stack([first, first + 0.5 * noise])


def by_loops(first: np.ndarray, second: np.ndarray, redundancy: float) -> dict[str, float]:
    """Equations 1 and 2 of the paper, number by number."""
    images, width = first.shape
    losses = {"invariance": 0.0, "redundancy": 0.0}
    for i in range(width):
        for j in range(width):
            a, b = first[:, i] - first[:, i].mean(), second[:, j] - second[:, j].mean()
            dot = sum(a[n] * b[n] for n in range(images))
            # 1e-5 is what batch normalisation adds to the variance.
            lengths = np.sqrt(a @ a + 1e-5 * images) * np.sqrt(b @ b + 1e-5 * images)
            if i == j:
                losses["invariance"] += (1 - dot / lengths) ** 2
            else:
                losses["redundancy"] += redundancy * (dot / lengths) ** 2
    return losses


@few
@given(seeds, images, widths, st.floats(0, 1))
def test_it_is_the_papers_equation(seed, images, width, redundancy):
    first, second = views(seed, images, width)
    expected = by_loops(first.double().numpy(), second.double().numpy(), redundancy)
    losses = BarlowTwins(redundancy)(first, second)
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(
        expected, rel=1e-3, abs=1e-5
    )


@few
@given(seeds, images, widths)
def test_scale_and_offset_of_a_dimension_do_not_matter(seed, images, width):
    first, second = views(seed, images, width).double()
    generator = torch.Generator().manual_seed(seed)
    scales, offsets = 1 + 9 * torch.rand(2, width, generator=generator).double()
    plain, moved = BarlowTwins()(first, second), BarlowTwins()(first * scales + offsets, second)
    assert all(moved[name].item() == pytest.approx(plain[name].item(), abs=1e-2) for name in plain)


def test_the_least_value_is_zero_where_views_are_equal_and_dimensions_uncorrelated():
    views = torch.tensor(hadamard(8)[:, 1:], dtype=torch.float32)
    losses = BarlowTwins()(views, views)
    assert losses["invariance"].item() == pytest.approx(0, abs=1e-8)
    assert losses["redundancy"].item() == pytest.approx(0, abs=1e-8)


def test_constant_projections_cost_one_for_each_dimension():
    losses = BarlowTwins()(torch.full((6, 5), 3.0), torch.full((6, 5), 3.0))
    assert losses["invariance"].item() == pytest.approx(5)
    assert losses["redundancy"].item() == pytest.approx(0, abs=1e-9)


def test_one_direction_for_all_costs_every_entry_off_the_diagonal():
    views = torch.linspace(-9, 9, 10).unsqueeze(1).expand(10, 5)
    losses = BarlowTwins(redundancy=1)(views, views)
    assert losses["invariance"].item() == pytest.approx(0, abs=1e-8)
    assert losses["redundancy"].item() == pytest.approx(5 * 4, rel=1e-4)


def test_a_negative_weight_is_refused():
    with pytest.raises(RecipeError, match=r"-1 was given"):
        BarlowTwins(-1)
