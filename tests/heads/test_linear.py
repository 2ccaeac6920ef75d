"""The linear head."""

from __future__ import annotations

import json

import pytest
import torch

from graft.errors import BackboneError
from graft.heads import build_head
from graft.heads.linear import FRESH, LinearHead

pytestmark = pytest.mark.numeric


def test_initial_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    one = LinearHead(8, 3)
    torch.manual_seed(2)

    assert torch.equal(LinearHead(8, 3).linear.weight, one.linear.weight)
    assert not torch.equal(LinearHead(8, 3, seed=1).linear.weight, one.linear.weight)


def test_making_a_head_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)

    LinearHead(8, 3)

    assert torch.equal(torch.rand(1), expected)


def test_logits_are_linear_in_the_features() -> None:
    head = LinearHead(8, 3, dropout=0.5).eval()
    features = torch.randn(5, 8)

    torch.testing.assert_close(head(features), features @ head.linear.weight.T + head.linear.bias)


def test_dropout_acts_in_training_only() -> None:
    head = LinearHead(64, 3, dropout=0.5)
    features = torch.ones(2, 64)

    assert not torch.equal(head.train()(features), head.eval()(features))


def test_a_record_rebuilds_the_head() -> None:
    head = LinearHead(8, 3, dropout=0.3)

    rebuilt = build_head(json.loads(json.dumps(head.record())))

    assert repr(rebuilt) == repr(head) == "LinearHead(width=8, classes=3, dropout=0.3)"


@pytest.mark.parametrize(
    "record", [{}, {"kind": "cubic"}, {"kind": "linear", "width": 3}, {"kind": "linear", "x": 1}]
)
def test_a_record_that_describes_no_head_is_refused(record: dict[str, object]) -> None:
    with pytest.raises(BackboneError, match="cannot be built"):
        build_head(record)


@pytest.mark.parametrize("size", [0.1, 3.0, 200.0])
def test_shrinking_leaves_every_prediction_and_no_long_weights(size: float) -> None:
    torch.manual_seed(0)
    head, features = LinearHead(8, 3).eval(), torch.randn(50, 8)
    with torch.no_grad():
        head.linear.weight.copy_(torch.randn(3, 8) * size)
        head.linear.bias.copy_(torch.randn(3) * size)
    before, weight = head(features).argmax(dim=1), head.linear.weight.clone()

    head.shrink()

    assert torch.equal(head(features).argmax(dim=1), before)
    assert head.linear.weight.norm(dim=1).max() <= FRESH * 1.0001
    if weight.norm(dim=1).max() <= FRESH:
        assert torch.equal(head.linear.weight, weight)


def test_a_fresh_head_is_as_long_as_it_is_said_to_be() -> None:
    lengths = LinearHead(1000, 50).linear.weight.norm(dim=1)
    assert lengths.mean().item() == pytest.approx(FRESH, rel=0.02)
