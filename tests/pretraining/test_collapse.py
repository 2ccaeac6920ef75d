"""Promises of the collapse monitor: it sees both kinds, and only where they are."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import nn

from graft.errors import DivergedError, RecipeError
from graft.pretraining.collapse import Collapse, measure_collapse
from graft.pretraining.heads import make_projector
from graft.pretraining.losses import BarlowTwins, NTXent, VICReg

few = settings(max_examples=15, deadline=None, phases=(Phase.explicit, Phase.generate))


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@few
@given(st.integers(0, 999), st.integers(2, 12), st.integers(1, 9))
def test_both_numbers_are_those_of_their_papers(seed, images, width):
    features = random(images, width, seed=seed).double().numpy()
    directions = [row / math.sqrt(row @ row) for row in features]
    deviations = [np.std([row[j] for row in directions]) for j in range(width)]
    values = np.sqrt(np.linalg.eigvalsh(features.T @ features).clip(0))
    shares = [value / sum(values) for value in values if value > 1e-12]
    found = measure_collapse(torch.from_numpy(features))
    assert found.std == pytest.approx(np.mean(deviations) * math.sqrt(width), rel=1e-4, abs=1e-6)
    assert found.rank == pytest.approx(math.exp(-sum(s * math.log(s) for s in shares)), rel=1e-2)
    assert 1 - 1e-3 <= found.rank <= found.limit + 1e-3


@pytest.mark.parametrize("value", [0.0, 1.0, -300.0])
def test_constant_features_have_collapsed_completely(value):
    found = measure_collapse(torch.full((64, 32), value))
    assert (found.kind, found.collapsed) == ("complete", True)
    assert found.std == pytest.approx(0, abs=1e-5)
    assert found.rank == pytest.approx(1 if value else 0, abs=1e-2)


def test_features_on_one_line_have_collapsed_in_dimension():
    found = measure_collapse(random(64, 1) * random(1, 32, seed=1))
    assert (found.kind, found.collapsed) == ("dimensional", True)
    assert found.rank == pytest.approx(1, abs=1e-2)


def test_few_directions_of_many_have_collapsed_in_dimension():
    assert measure_collapse(random(1024, 4) @ random(4, 512, seed=1)).kind == "dimensional"
    assert measure_collapse(random(1024, 40) @ random(40, 512, seed=1)).kind is None


@pytest.mark.parametrize(("images", "width"), [(512, 64), (64, 512), (16, 2048), (64, 2), (8, 3)])
def test_isotropic_features_have_not_collapsed(images, width):
    found = measure_collapse(random(images, width))
    assert not found.collapsed
    assert found.std == pytest.approx(1, abs=0.1)
    assert found.rank > 0.75 * found.limit


def test_features_after_a_relu_have_not_collapsed():
    assert not measure_collapse(random(256, 512).relu()).collapsed


def test_scaling_all_features_changes_nothing():
    features = random(64, 32)
    small, large = measure_collapse(features * 1e-3), measure_collapse(features * 1e3)
    assert small.std == pytest.approx(large.std, rel=1e-5)
    assert small.rank == pytest.approx(large.rank, rel=1e-5)


def test_the_words_name_the_numbers_and_the_way_out():
    complete, dimensional = Collapse(0.014, 1.04, 512, 256), Collapse(0.8, 1.3, 64, 256)
    for found in (complete, dimensional):
        assert f"{found.std:.2f} of 1" in found.message
        assert f"{found.rank:.1f} of {found.limit}" in found.message
        for advice in ("learning rate", "batch", "augment", "variance"):
            assert advice in found.message
        assert found.message.count(".") - found.message.count("0.") - found.message.count("1.") == 1
    assert Collapse(0.9, 60.0, 64, 256).message.startswith("No collapse: ")


def test_measuring_leaves_gradients_and_dtype_alone():
    features = random(8, 4).bfloat16().requires_grad_()
    measure_collapse(features)
    assert features.grad is None
    assert features.dtype == torch.bfloat16


def test_features_that_are_not_finite_are_refused():
    with pytest.raises(DivergedError, match="not finite"):
        measure_collapse(torch.full((4, 4), torch.nan))


@pytest.mark.parametrize("shape", [(4,), (1, 4), (2, 3, 4)])
def test_features_of_another_shape_are_refused(shape):
    with pytest.raises(RecipeError, match=r"\(N, D\) was expected"):
        measure_collapse(torch.zeros(shape))


@pytest.mark.parametrize(
    ("loss", "collapses"),
    [
        (VICReg(variance=0, covariance=0), True),
        (VICReg(), False),
        (BarlowTwins(), False),
        (NTXent(), False),
    ],
    ids=["invariance alone", "VICReg", "Barlow Twins", "NT-Xent"],
)
def test_a_run_that_collapses_is_caught_and_one_that_does_not_is_not(loss, collapses):
    images = random(64, 20)
    network = nn.Sequential(make_projector(20, (32, 32)))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for step in range(100):
        noise = 0.1 * random(2, 64, 20, seed=step + 1)
        first, second = network(images + noise[0]), network(images + noise[1])
        optimizer.zero_grad()
        sum(loss(first, second).values()).backward()
        optimizer.step()
    found = measure_collapse(network(images))
    assert found.collapsed == collapses, found.message
