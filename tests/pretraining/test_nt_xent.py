"""Promises of NT-Xent: the paper's equation, its bounds, and what it does not depend on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from graft.errors import RecipeError
from graft.pretraining.losses import NTXent

pytestmark = pytest.mark.numeric

few = settings(max_examples=15, deadline=None, phases=(Phase.explicit, Phase.generate))
seeds, images, widths = st.integers(0, 999), st.integers(2, 7), st.integers(1, 6)
temperatures = st.sampled_from([0.07, 0.1, 0.5, 1.0, 3.0])


def views(seed: int, images: int, width: int) -> torch.Tensor:
    return torch.randn(2, images, width, generator=torch.Generator().manual_seed(seed))


def value(first, second, temperature=0.5) -> float:
    return NTXent(temperature)(first, second)["nt_xent"].item()


def by_loops(first: np.ndarray, second: np.ndarray, temperature: float) -> float:
    """Equation 1 of the paper, number by number."""
    rows = [*first.astype(float), *second.astype(float)]
    total = 0.0
    for i, row in enumerate(rows):
        scores = {
            k: math.exp(row @ other / math.sqrt(row @ row) / math.sqrt(other @ other) / temperature)
            for k, other in enumerate(rows)
            if k != i
        }
        total -= math.log(scores[(i + len(first)) % len(rows)] / sum(scores.values()))
    return total / len(rows)


@few
@given(seeds, images, widths, temperatures)
def test_it_is_the_papers_equation(seed, images, width, temperature):
    first, second = views(seed, images, width)
    expected = by_loops(first.numpy(), second.numpy(), temperature)
    assert value(first, second, temperature) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@few
@given(seeds, images, widths, st.floats(1e-3, 1e6))
def test_the_length_of_a_projection_does_not_matter(seed, images, width, scale):
    first, second = views(seed, images, width)
    scales = torch.linspace(1, scale, images).unsqueeze(1)
    assert value(first * scales, second) == pytest.approx(value(first, second), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("images", [2, 3, 8])
@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_the_least_value_is_that_of_a_simplex(images, temperature):
    simplex = torch.eye(images, dtype=torch.float64) - 1 / images
    negatives, gap = 2 * images - 2, 1 + 1 / (images - 1)
    least = math.log1p(negatives * math.exp(-gap / temperature))
    assert value(simplex, simplex, temperature) == pytest.approx(least, rel=1e-4)
    for seed in range(5):
        assert value(*views(seed, images, images), temperature) > least


def test_equal_projections_are_told_apart_by_guessing():
    assert value(torch.ones(6, 4), torch.ones(6, 4)) == pytest.approx(math.log(11))


def test_a_tiny_temperature_overflows_nothing():
    first, second = (view.requires_grad_() for view in views(0, 4, 3))
    loss = NTXent(1e-4)(first, second)["nt_xent"]
    loss.backward()
    assert loss.isfinite()
    assert first.grad.isfinite().all()


def test_a_projection_is_not_compared_with_itself():
    first, second = torch.tensor([[1.0, 0], [0, 1]]), torch.tensor([[0.0, 1], [1, 0]])
    # Every view finds a stranger equal to it, its partner and the other stranger at right angles.
    assert value(first, second, 1.0) == pytest.approx(math.log(2 + math.e))


@pytest.mark.parametrize("temperature", [0, -1, math.nan])
def test_a_temperature_that_is_not_above_zero_is_refused(temperature):
    with pytest.raises(RecipeError, match="above 0"):
        NTXent(temperature)
