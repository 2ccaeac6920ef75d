"""The head with hidden layers."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from graft.errors import BackboneError
from graft.heads import build_head
from graft.heads.mlp import ACTIVATIONS, NORMALIZATIONS, MLPHead

pytestmark = pytest.mark.numeric


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_hidden_layer_is_linear_normalisation_activation_dropout(
    activation: str, normalization: str
) -> None:
    head = MLPHead(6, 3, (5, 4), activation, normalization, dropout=0.3)

    kinds = [type(module) for module in head.layers[0]]
    expected = [nn.Linear, NORMALIZATIONS[normalization], ACTIVATIONS[activation], nn.Dropout]
    assert kinds == expected
    assert [layer[0].out_features for layer in head.layers[:-1]] == [5, 4]
    assert head.layers[0][-1].p == 0.3


def test_initial_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    one = MLPHead(8, 3, seed=4)
    torch.manual_seed(2)

    assert torch.equal(MLPHead(8, 3, seed=4).layers[0][0].weight, one.layers[0][0].weight)
    assert not torch.equal(MLPHead(8, 3, seed=5).layers[0][0].weight, one.layers[0][0].weight)


def test_a_head_is_rebuilt_from_its_record() -> None:
    head = MLPHead(8, 3, (4,), "gelu", "batch", 0.1)

    same = build_head(json.loads(json.dumps(head.record())))
    same.load_state_dict(head.state_dict())

    features = torch.rand(5, 8)
    assert torch.equal(same.eval()(features), head.eval()(features))
    assert same.record() == head.record()


@pytest.mark.parametrize("wrong", [{"hidden": []}, {"activation": "sine"}, {"hidden": [0]}])
def test_what_cannot_be_built_is_named(wrong: dict) -> None:
    with pytest.raises(BackboneError, match="cannot be built"):
        build_head({"kind": "mlp", "width": 4, "classes": 2, **wrong})
