"""Promises of the learning rates that are taken where none is given."""

import pytest

from graft.strategies import STRATEGIES, make_plan, unusual_rates
from graft.training.optimizers import LEARNING_RATE
from tests.training.conftest import STAGES


@pytest.mark.parametrize("strategy", sorted(set(STRATEGIES) - {"phases"}))
@pytest.mark.parametrize("optimizer", sorted(LEARNING_RATE))
def test_the_default_rates_are_usual_ones(strategy, optimizer):
    lr = LEARNING_RATE[optimizer] * STRATEGIES[strategy].lr_scale
    assert unusual_rates(make_plan(strategy, STAGES, lr=lr), lr, optimizer) == []
