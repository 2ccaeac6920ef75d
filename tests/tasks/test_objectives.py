"""Promises of the objectives: named losses that compose."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from graft.data.loader import Batch
from graft.tasks import CrossEntropy, Mixup, Progress

pytestmark = pytest.mark.numeric

IMAGES = torch.arange(8.0).view(4, 2, 1, 1)
LABELS = torch.tensor([0, 1, 2, 1])
BATCH = Batch(IMAGES, LABELS, torch.arange(4))


def model(images):
    flat = images.flatten(1)
    return torch.cat([flat, flat.square().sum(dim=1, keepdim=True)], dim=1) / 10


@given(st.floats(0, 0.9))
def test_label_smoothing_mixes_the_label_with_the_uniform_distribution(share):
    loss = CrossEntropy(share)(model, BATCH, Progress(0, 1, 1))["cross_entropy"]
    target = functional.one_hot(LABELS, 3) * (1 - share) + share / 3
    expected = -(target * model(IMAGES).log_softmax(dim=1)).sum(dim=1).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_class_weights_weigh_the_images_of_a_class():
    weights = torch.tensor([1.0, 5.0, 0.5])
    loss = CrossEntropy(0, weights)(model, BATCH, Progress(0, 1, 1))["cross_entropy"]
    each = functional.cross_entropy(model(IMAGES), LABELS, reduction="none")
    expected = (each * weights[LABELS]).sum() / weights[LABELS].sum()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


@given(st.integers(0, 50), st.integers(0, 50))
def test_mixup_blends_images_and_labels_by_the_same_share_and_partner(seed, step):
    seen = []

    def spy(inner, batch, progress):
        seen.append(batch)
        return {"spy": batch.inputs.sum()}

    Mixup(spy, classes=3, alpha=0.4)(model, BATCH, Progress(step, 99, 1, seed))
    blend = seen[0]
    target = functional.one_hot(LABELS, 3).float()
    both = torch.cat([IMAGES.flatten(1), target], dim=1)
    blended = torch.cat([blend.inputs.flatten(1), blend.targets], dim=1)
    assert torch.allclose(blend.targets.sum(dim=1), torch.ones(4), atol=1e-5)
    matches = 0
    for row, mixed in zip(both, blended, strict=True):
        for partner in both:
            step_to = mixed - partner
            whole = row - partner
            share = (step_to @ whole) / (whole @ whole).clamp_min(1e-9)
            if torch.allclose(partner + share * whole, mixed, atol=1e-4):
                matches += 1
                break
    assert matches == 4


def test_mixup_repeats_for_the_same_seed_and_step_and_not_for_the_next():
    def blend(step):
        seen = []

        def spy(inner, batch, progress):
            seen.append(batch)
            return {}

        Mixup(spy, classes=3)(model, BATCH, Progress(step, 9, 1, 0))
        return seen[0]

    assert torch.equal(blend(3).inputs, blend(3).inputs)
    assert not torch.equal(blend(3).targets, blend(4).targets)
