"""Promises of the solved head."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.errors import DataError
from graft.heads.linear import LinearHead
from graft.probe.solve import solve

pytestmark = pytest.mark.numeric


def clouds(classes: int, seed: int, images: int = 20, width: int = 6):
    generator = torch.Generator().manual_seed(seed)
    centres = 2 * torch.randn(classes, width, generator=generator)
    labels = torch.arange(classes).repeat_interleave(images)
    noise = torch.randn(len(labels), width, generator=generator)
    # Features of very different scale and offset, as real backbones give.
    return (centres[labels] + noise) * torch.logspace(-2, 2, width) + 5, labels


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 5), st.sampled_from([6, 150]), st.integers(0, 99))
def test_the_gradient_of_the_regularised_loss_is_zero_at_the_solution(classes, width, seed):
    features, labels = clouds(classes, seed, width=width)
    found = solve(features, labels, classes, Cs=[0.1])
    x, scale = features.double(), features.double().std(dim=0, correction=0)
    # In standardised features: sum of cross-entropies + |w|^2 / (2 C), the intercept free.
    weight = (found.weight.double() * scale).requires_grad_()
    bias = (found.bias.double() + found.weight.double() @ x.mean(dim=0)).requires_grad_()
    logits = (x - x.mean(dim=0)) / scale @ weight.T + bias
    data = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
    # Two classes have one free logit, of which each softmax row holds plus or minus a half.
    penalty = weight.square().sum() * (2 if classes == 2 else 1) / (2 * 0.1)
    gradients = torch.autograd.grad(data + penalty, [weight, bias])
    assert all(gradient.abs().max() < 2e-4 for gradient in gradients)


def test_two_classes_get_the_probabilities_of_one_sigmoid():
    features, labels = clouds(2, 0)
    found = solve(features, labels, 2, Cs=[1.0])
    assert torch.allclose(found.weight[0], -found.weight[1])
    assert torch.allclose(found.bias[0], -found.bias[1])


def test_the_strength_is_chosen_by_cross_validation_inside_the_given_images():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(2).repeat(30)
    signal = labels[:, None] * 2.0 - 1 + torch.randn(60, 1, generator=generator)
    noise = torch.randn(60, 300, generator=generator)
    found = solve(torch.cat([signal, noise], dim=1), labels, 2)
    assert len(found.scores) >= 20
    assert found.scores[found.C] == min(found.scores.values())
    assert max(found.scores) > found.C, "300 features of noise ask for regularisation"
    assert found.images == 60


@pytest.mark.parametrize("fewest", [1, 2])
def test_a_class_with_one_or_two_images_is_no_obstacle(fewest):
    features, labels = clouds(3, 0)
    kept = torch.cat([torch.arange(40), torch.arange(40, 40 + fewest)])
    found = solve(features[kept], labels[kept], 3)
    assert found.scores
    logits = features[kept] @ found.weight.T + found.bias
    assert (logits.argmax(dim=1) == labels[kept]).all()


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
        found = solve(features[kept], labels[kept], 2, Cs=[1e-3], balanced=balanced)
        logits = features @ found.weight.T + found.bias
        share.append((logits.argmax(dim=1) == 1).double().mean())
    assert share[1] > share[0]


def test_views_are_no_evidence_of_their_own():
    """Copies of one image on both sides of a fold would make the weakest C look best."""
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.randn(40, 30, generator=generator), torch.arange(40) % 2
    views = torch.arange(40).repeat_interleave(5)
    features = images[views] + 0.01 * torch.randn(200, 30, generator=generator)
    leaking = solve(features, labels[views], 2)
    found = solve(features, labels[views], 2, groups=views)
    assert min(leaking.scores.values()) < 0.2
    assert min(found.scores.values()) > 0.5, "there is nothing to learn in noise"


def test_held_out_loss_is_measured_on_clean_rows_alone():
    features, labels = clouds(2, 0)
    spoiled = torch.cat([features, -3 * features])
    twice, views = labels.repeat(2), torch.arange(len(labels)).repeat(2)
    clean = torch.arange(len(twice)) < len(labels)
    only = solve(spoiled, twice, 2, groups=views, clean=clean)
    every = solve(spoiled, twice, 2, groups=views)
    assert min(only.scores.values()) != pytest.approx(min(every.scores.values()), rel=0.05)
    # Which integers name the images does not matter.
    other = solve(spoiled, twice, 2, groups=views * 7 - 100, clean=clean)
    assert other.scores == only.scores


def test_a_class_without_a_row_is_named():
    features, labels = clouds(2, 0)
    with pytest.raises(DataError, match="Class 2 of 3 has no row"):
        solve(features, labels, 3)


def test_no_clean_row_is_refused():
    features, labels = clouds(2, 0)
    with pytest.raises(DataError, match="marked as clean"):
        solve(features, labels, 2, clean=torch.zeros(len(labels), dtype=torch.bool))


def test_the_solution_goes_into_a_head():
    features, labels = clouds(3, 2)
    found, head = solve(features, labels, 3), LinearHead(6, 3)
    found.install(head)
    assert torch.allclose(head(features), features @ found.weight.T + found.bias, atol=1e-4)


@pytest.mark.parametrize("images", [12, 500])
@pytest.mark.parametrize("value", [0.0, 3.0])
@pytest.mark.parametrize("width", [4, 600])
def test_features_that_never_vary_give_every_image_the_frequencies_of_the_classes(
    images, value, width
):
    labels = torch.tensor([0] * (images // 2) + [1] * (images // 3))
    labels = torch.cat([labels, torch.full((images - len(labels),), 2)])
    found = solve(torch.full((images, width), value), labels, 3)
    assert found.constant
    assert not found.weight.any()
    assert found.bias.softmax(0).tolist() == pytest.approx(
        (labels.bincount() / images).tolist(), abs=1e-4
    )


@settings(deadline=None, max_examples=10)
@given(st.integers(2, 4), st.sampled_from([6, 150]), st.integers(0, 99))
def test_held_out_outputs_have_the_cross_validated_loss(classes, width, seed):
    features, labels = clouds(classes, seed, width=width)
    found = solve(features, labels, classes)
    loss = torch.nn.functional.cross_entropy(found.held_out * found.temperature, labels)
    assert float(loss) == pytest.approx(found.scores[found.C], rel=1e-4, abs=1e-6)


def test_where_no_class_has_two_images_nothing_is_held_out():
    assert solve(torch.randn(3, 5), torch.arange(3), 3).held_out is None


def test_the_only_image_of_a_class_is_in_no_fold():
    features, labels = clouds(2, 0)
    alone = torch.cat([labels, torch.tensor([2])])
    held_out = solve(torch.cat([features, features[:1]]), alone, 3).held_out
    assert held_out.isnan().any(dim=1).tolist() == [False] * len(labels) + [True]
