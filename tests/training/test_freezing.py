"""Promises of freezing, module by module."""

from __future__ import annotations

import pytest

from graft.heads.linear import LinearHead
from graft.model import Classifier
from graft.strategies import Phase, Plan, make_plan
from graft.training.freezing import apply_phase
from tests.training.conftest import STAGES, tiny_backbone


@pytest.fixture
def classifier() -> Classifier:
    return Classifier(tiny_backbone(), LinearHead(16, 3), ("a", "b", "c"))


def test_a_module_that_holds_a_frozen_stage_is_in_eval_mode_itself(classifier):
    # Its own forward may draw drop-out above the frozen stages, by its own `training`.
    plan = make_plan("partial", STAGES)
    classifier.train()
    apply_phase(classifier, plan, plan.phases[-1])
    assert not classifier.body.training
    assert classifier.body[2][3].training, "drop-out of the stage that trains is on"
    assert not classifier.body[1][3].training


def test_with_nothing_frozen_everything_is_in_train_mode_but_batch_norm(classifier):
    plan = make_plan("full", STAGES)
    apply_phase(classifier, plan, plan.phases[-1])
    assert classifier.body.training
    assert not any(block[1].training for block in classifier.body[:3])


def test_batch_norm_follows_the_batches_only_where_the_plan_says_so(classifier):
    phase = Phase("p", "gradient", 1, {"stage2": 1.0, "head": 1.0})
    apply_phase(classifier, Plan("x", STAGES, (phase,), 1, "train"), phase)
    assert [block[1].training for block in classifier.body[:3]] == [False, False, True]


def test_only_what_trains_asks_for_gradients(classifier):
    plan = make_plan("gradual", STAGES, epochs=3)
    for phase in plan.phases:
        apply_phase(classifier, plan, phase)
        asking = {
            stage
            for stage, parameters in classifier.parameters_by_stage().items()
            if all(parameter.requires_grad for parameter in parameters)
        }
        assert asking == set(plan.trained(phase))
