"""Promises of the solved head."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.heads.linear import LinearHead
from graft.heads.solve import STRENGTHS, solve


def clouds(classes: int, seed: int, images: int = 20, width: int = 6):
    generator = torch.Generator().manual_seed(seed)
    centres = 2 * torch.randn(classes, width, generator=generator)
    labels = torch.arange(classes).repeat_interleave(images)
    noise = torch.randn(len(labels), width, generator=generator)
    # Features of very different scale and offset, as real trunks give.
    return (centres[labels] + noise) * torch.logspace(-2, 2, width) + 5, labels


@settings(deadline=None, max_examples=15)
@given(st.integers(2, 5), st.integers(0, 99))
def test_the_gradient_of_the_regularised_loss_is_zero_at_the_solution(classes, seed):
    features, labels = clouds(classes, seed)
    found = solve(features, labels, classes, strengths=[0.1])
    x, scale = features.double(), features.double().std(dim=0, correction=0)
    # In standardised features: sum of cross-entropies + |w|^2 / (2 C), the intercept free.
    weight = (found.weight.double() * scale).requires_grad_()
    bias = (found.bias.double() + found.weight.double() @ x.mean(dim=0)).requires_grad_()
    logits = (x - x.mean(dim=0)) / scale @ weight.T + bias
    data = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
    # Two classes have one free logit, of which each softmax row holds plus or minus a half.
    penalty = weight.square().sum() * (2 if classes == 2 else 1) / (2 * 0.1)
    gradients = torch.autograd.grad(data + penalty, [weight, bias])
    assert all(gradient.abs().max() < 0.02 for gradient in gradients)


def test_two_classes_get_the_probabilities_of_one_sigmoid():
    features, labels = clouds(2, 0)
    found = solve(features, labels, 2, strengths=[1.0])
    assert torch.allclose(found.weight[0], -found.weight[1])


def test_the_strength_is_chosen_by_cross_validation_inside_the_given_images():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(2).repeat(30)
    signal = labels[:, None] * 2.0 - 1 + torch.randn(60, 1, generator=generator)
    noise = torch.randn(60, 300, generator=generator)
    found = solve(torch.cat([signal, noise], dim=1), labels, 2)
    assert len(found.scores) == len(STRENGTHS)
    assert found.scores[found.strength] == min(found.scores.values())
    assert found.strength < max(STRENGTHS), "300 features of noise ask for regularisation"


def test_a_fold_is_standardised_with_its_own_training_images_alone(monkeypatch):
    import graft.heads.solve as module

    seen, real = [], module._standardisation

    def watched(x):
        seen.append(len(x))
        return real(x)

    monkeypatch.setattr(module, "_standardisation", watched)
    features, labels = clouds(2, 1, images=9)
    solve(features, labels, 2, folds=3)
    assert seen == [12, 12, 12, 18]


@pytest.mark.parametrize("fewest", [1, 2])
def test_a_class_with_one_or_two_images_is_no_obstacle(fewest):
    features, labels = clouds(3, 0)
    kept = torch.cat([torch.arange(40), torch.arange(40, 40 + fewest)])
    found = solve(features[kept], labels[kept], 3)
    assert (len(found.scores) > 0) is (fewest == 2)


def test_a_feature_that_never_varies_does_no_harm():
    features, labels = clouds(2, 0)
    features[:, 0] = 7
    found = solve(features, labels, 2)
    assert torch.isfinite(found.weight).all()
    assert (found.weight[:, 0] == 0).all()


def test_balanced_classes_do_not_drown_a_rare_one():
    features, labels = clouds(2, 5, width=2)
    features = features + 3 * torch.randn(
        features.shape, generator=torch.Generator().manual_seed(0)
    )
    kept = torch.cat([torch.arange(20), torch.arange(20, 23)])
    share = []
    for balanced in (False, True):
        found = solve(features[kept], labels[kept], 2, strengths=[1e-3], balanced=balanced)
        logits = features @ found.weight.T + found.bias
        share.append((logits.argmax(dim=1) == 1).double().mean())
    assert share[1] > share[0]


def test_the_solution_goes_into_a_head():
    features, labels = clouds(3, 2)
    found, head = solve(features, labels, 3), LinearHead(6, 3)
    found.install(head)
    assert torch.allclose(head(features), features @ found.weight.T + found.bias, atol=1e-4)
