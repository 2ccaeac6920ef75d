"""Promises of the projector: its layers, its usual widths, a start that the seed alone decides."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from graft.errors import RecipeError
from graft.pretraining.heads import WIDTHS, make_projector, projector_widths

pytestmark = pytest.mark.numeric


def kinds(module: nn.Module) -> list[type[nn.Module]]:
    leaves = [leaf for leaf in module.modules() if not list(leaf.children())]
    return [type(leaf) for leaf in leaves if not isinstance(leaf, nn.Dropout)]


def test_every_layer_but_the_last_is_linear_normalised_and_rectified():
    hidden = [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    assert kinds(make_projector(16, (8, 6, 4))) == [*hidden, *hidden, nn.Linear]


@pytest.mark.parametrize("method", WIDTHS)
def test_every_method_has_its_usual_widths(method):
    widths = projector_widths(method, 32)
    projections = make_projector(32, widths)(torch.randn(4, 32))
    assert projections.shape == (4, widths[-1])


def test_the_hidden_layer_of_simclr_is_as_wide_as_the_features():
    assert projector_widths("simclr", 512) == (512, 128)


def test_the_start_depends_on_the_seed_and_on_nothing_drawn_before():
    torch.manual_seed(1)
    one = make_projector(8, (6, 4), seed=3).state_dict()
    torch.manual_seed(2)
    same = make_projector(8, (6, 4), seed=3).state_dict()
    other = make_projector(8, (6, 4), seed=4).state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_an_unknown_method_names_the_nearest():
    with pytest.raises(RecipeError, match=r"'barlow'.*'barlow-twins'"):
        projector_widths("barlow", 8)


@pytest.mark.parametrize("widths", [(), (8,), (8, 0)])
def test_fewer_than_two_layers_are_refused(widths):
    with pytest.raises(RecipeError, match="at least two layers"):
        make_projector(8, widths)
