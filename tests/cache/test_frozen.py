"""Promises of the frozen prefix: activations that depend on their image alone, and lose nothing."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.backbones.cut import Cut
from graft.cache.activations import FrozenPrefix
from graft.strategies import HEAD
from tests.training.networks import backbones, make_backbone

pytestmark = pytest.mark.numeric

property_test = settings(max_examples=15, deadline=None)


def images(count, seed=0):
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def cuts(backbone):
    return [*(stage.name for stage in backbone.stages[1:]), HEAD]


@property_test
@given(backbones, st.data())
def test_rows_and_what_stands_above_them_are_the_whole_network(backbone, data):
    prefix = FrozenPrefix(backbone, data.draw(st.sampled_from(cuts(backbone))))
    backbone.module.eval()
    activations = prefix.activations(images(5))
    assert activations.shape == (5, prefix.size)
    torch.testing.assert_close(
        prefix.features(activations), backbone.module(images(5)), rtol=1e-4, atol=1e-4
    )
    assert prefix.differs(images(5), activations) is None


@property_test
@given(backbones, st.integers(1, 20), st.data())
def test_a_row_does_not_depend_on_its_companions(backbone, count, data):
    prefix = FrozenPrefix(backbone, data.draw(st.sampled_from(cuts(backbone))))
    together = prefix.activations(images(20))
    assert torch.equal(prefix.activations(images(20)[:count]), together[:count])


@property_test
@given(backbones, st.data())
def test_the_frozen_stages_rest_whatever_mode_the_network_is_in(backbone, data):
    prefix = FrozenPrefix(backbone, data.draw(st.sampled_from(cuts(backbone))))
    eval_mode = prefix.activations(images(4))
    backbone.module.train()
    before = {name: tensor.clone() for name, tensor in backbone.module.state_dict().items()}
    assert torch.equal(prefix.activations(images(4)), eval_mode)
    prefix.differs(images(4), eval_mode)
    assert all(module.training for module in backbone.module.modules())
    after = backbone.module.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_gradients_reach_the_stages_above_and_only_those():
    backbone = make_backbone([(False, True), (True, False), (False, True)], far=True, seed=0)
    prefix = FrozenPrefix(backbone, "stage1")
    prefix.features(prefix.activations(images(4))).sum().backward()
    touched = {
        name.split(".")[1]
        for name, parameter in backbone.module.named_parameters()
        if parameter.grad is not None
    }
    assert touched == {"1", "2"}


def test_features_leave_the_rows_as_they_are(monkeypatch):
    # As stages do that begin with an operation in place.
    monkeypatch.setattr(Cut, "suffix", lambda self, tensors: tensors[0].zero_())
    prefix = FrozenPrefix(make_backbone([(False, False)] * 2, far=False, seed=0), "stage1")
    activations = prefix.activations(images(3))
    before = activations.clone()
    prefix.features(activations)
    assert torch.equal(activations, before)


def test_a_skip_over_the_cut_is_part_of_the_row():
    kinds = [(False, False), (False, False), (False, False)]
    near, far = (FrozenPrefix(make_backbone(kinds, far=f, seed=0), "stage2") for f in (False, True))
    assert near.shapes == ((9, 4, 4),)
    assert sorted(far.shapes) == [(6, 8, 8), (9, 4, 4)]
    assert far.size == 9 * 16 + 6 * 64


@pytest.mark.parametrize("cut", ["stage1", HEAD])
def test_rows_of_other_images_are_noticed(cut):
    backbone = make_backbone([(False, False), (True, True)], far=False, seed=0)
    prefix = FrozenPrefix(backbone, cut)
    refusal = prefix.differs(images(4), prefix.activations(images(4, seed=1)))
    assert refusal is not None
    assert cut in refusal


def test_reduced_precision_is_close_and_is_stored_as_float32():
    backbone = make_backbone([(False, False), (True, True)], far=False, seed=0)
    prefix = FrozenPrefix(backbone, "stage1", precision="bf16")
    activations = prefix.activations(images(4))
    assert activations.dtype == torch.float32
    assert prefix.differs(images(4), activations) is None
    assert not torch.equal(activations, FrozenPrefix(backbone, "stage1").activations(images(4)))
