"""Promises that all losses between two views keep."""

from __future__ import annotations

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from graft.errors import RecipeError
from graft.pretraining.losses import BarlowTwins, NTXent, VICReg

pytestmark = pytest.mark.numeric

every_loss = pytest.mark.parametrize("loss", [NTXent(), BarlowTwins(), VICReg()], ids=repr)
few = settings(max_examples=10, deadline=None, phases=(Phase.explicit, Phase.generate))
seeds, images, widths = st.integers(0, 999), st.integers(2, 9), st.integers(1, 7)


def two_views(seed: int, images: int, width: int, *, apart: float = 0.5):
    generator = torch.Generator().manual_seed(seed)
    first, noise = torch.randn(2, images, width, generator=generator)
    return first, first + apart * noise


def numbers(losses: dict[str, torch.Tensor]) -> dict[str, float]:
    return {name: loss.item() for name, loss in losses.items()}


@every_loss
@few
@given(seeds, images, widths)
def test_the_order_of_the_views_does_not_matter(loss, seed, images, width):
    first, second = two_views(seed, images, width)
    assert numbers(loss(first, second)) == pytest.approx(
        numbers(loss(second, first)), rel=1e-3, abs=1e-5
    )


@every_loss
@few
@given(seeds, images, widths)
def test_the_order_of_the_images_does_not_matter(loss, seed, images, width):
    first, second = two_views(seed, images, width)
    order = torch.randperm(images, generator=torch.Generator().manual_seed(seed))
    assert numbers(loss(first[order], second[order])) == pytest.approx(
        numbers(loss(first, second)), rel=1e-3, abs=1e-5
    )


@every_loss
@few
@given(seeds, images, widths)
def test_pairing_images_with_their_own_views_costs_least(loss, seed, images, width):
    first, second = two_views(seed, images, width, apart=0)
    right = sum(loss(first, second).values())
    assert right <= sum(loss(first, second.roll(1, 0)).values()) + 1e-4


@every_loss
@pytest.mark.parametrize("first", [torch.zeros(4, 6), torch.ones(4, 6), torch.randn(4, 6)])
def test_gradients_are_finite_at_equal_views_and_at_zero(loss, first):
    first, second = first.clone().requires_grad_(), first.clone().requires_grad_()
    terms = loss(first, second)
    sum(terms.values()).backward()
    assert all(term.isfinite() and term.ndim == 0 for term in terms.values())
    assert first.grad.isfinite().all()
    assert second.grad.isfinite().all()


@every_loss
def test_gradients_are_those_of_finite_differences(loss):
    first, second = (view.double().requires_grad_() for view in two_views(0, 5, 3))
    assert torch.autograd.gradcheck(lambda *views: sum(loss(*views).values()), (first, second))


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_and_autocast_change_nothing_but_the_inputs(loss, dtype):
    first, second = (view.to(dtype) for view in two_views(1, 8, 6))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = loss(first, second)
    high = loss(first.float(), second.float())
    assert all(torch.equal(low[name], high[name]) for name in high)
    assert {term.dtype for term in low.values()} == {torch.float32}


@every_loss
def test_a_batch_of_one_image_is_refused(loss):
    with pytest.raises(RecipeError, match="batch of 1 image"):
        loss(torch.zeros(1, 6), torch.zeros(1, 6))


@every_loss
@pytest.mark.parametrize("shape", [(4, 5), (5, 6), (4,)])
def test_views_of_different_shapes_are_refused(loss, shape):
    with pytest.raises(RecipeError, match="same shape"):
        loss(torch.zeros(4, 6), torch.zeros(*shape))
