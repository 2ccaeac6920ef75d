"""The amount of data decides first: the mission's three ranges."""

from __future__ import annotations

import pytest

from graft.strategies.priors import lighter, prior_for


@pytest.mark.parametrize(
    ("images", "strategy"),
    [
        (0, "probe"),
        (999, "probe"),
        (1_000, "gradual"),
        (9_999, "gradual"),
        (10_000, "full"),
        (10**9, "full"),
    ],
)
def test_a_number_of_images_has_its_strategy(images, strategy):
    assert prior_for(images).strategy == strategy


def test_lighter_priors_cost_less():
    passes = [prior.passes for prior in lighter(prior_for(50_000))]
    assert passes == sorted(passes, reverse=True)
    assert [prior.strategy for prior in lighter(prior_for(50_000))] == ["full", "gradual", "probe"]
