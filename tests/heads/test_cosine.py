"""The head that compares directions."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cosine_similarity

from graft.heads import build_head
from graft.heads.cosine import CosineHead

pytestmark = pytest.mark.numeric


def test_logits_are_scaled_cosines() -> None:
    head, features = CosineHead(6, 3), torch.randn(4, 6)

    expected = cosine_similarity(features[:, None], head.prototypes[None], dim=2) * head.scale

    torch.testing.assert_close(head(features), expected)


def test_prototypes_and_scale_learn() -> None:
    head = CosineHead(6, 3)

    head(torch.randn(4, 6)).logsumexp(dim=1).sum().backward()

    assert all(parameter.grad.abs().sum() > 0 for parameter in head.parameters())


def test_a_head_is_rebuilt_from_its_record() -> None:
    head = CosineHead(6, 3, dropout=0.2, seed=9)

    assert torch.equal(build_head(head.record(), seed=9).prototypes, head.prototypes)
