"""What is told of a solved head."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from graft.inference import Outputs
from graft.probe.baselines import knn, prototypes
from graft.probe.solve import solve
from graft.tasks import classification
from graft.tasks.classification import describe

pytestmark = pytest.mark.numeric


@pytest.fixture
def data() -> tuple[Outputs, Outputs]:
    """Three overlapping classes, to learn from and to validate on."""
    rng = np.random.default_rng(0)
    middles = rng.normal(size=(3, 8))

    def draw(count: int) -> Outputs:
        labels = torch.arange(count) % 3
        features = middles[labels] + rng.normal(size=(count, 8))
        return Outputs(torch.from_numpy(features).float(), labels)

    return draw(60), draw(30)


def test_it_is_told_how_the_head_was_chosen(data: tuple[Outputs, Outputs]) -> None:
    train, val = data
    solution = solve(train.values, train.targets, 3)

    told = describe(solution, train, val)

    assert told["C"] == min(solution.scores, key=solution.scores.__getitem__)
    assert told["loss"] == min(solution.scores.values())
    assert (told["folds"], told["images"], told["at_edge"]) == (5, 60, False)
    assert (told["tried"], told["temperature"]) == (len(solution.scores), solution.temperature)
    json.dumps(told, allow_nan=False)


def test_where_there_was_nothing_to_choose_by_it_says_so(data: tuple[Outputs, Outputs]) -> None:
    _, val = data
    train = Outputs(torch.eye(8)[:3], torch.arange(3))

    told = describe(solve(train.values, train.targets, 3), train, val)

    assert (told["folds"], told["images"], told["tried"], told["loss"]) == (0, 0, 0, None)


def test_an_edge_is_told(data: tuple[Outputs, Outputs]) -> None:
    train, val = data

    assert describe(solve(train.values, train.targets, 3, Cs=(1e-6, 1e-5)), train, val)["at_edge"]


def test_beside_it_stands_what_the_same_features_give_without_learning(
    data: tuple[Outputs, Outputs],
) -> None:
    train, val = data
    known, labels, asked = train.values.numpy(), train.targets.numpy(), val.values.numpy()

    told = describe(solve(train.values, train.targets, 3), train, val)

    for key, scores in (
        ("prototypes", prototypes(known, labels, asked)),
        ("knn", knn(known, labels, asked, k=10)),
    ):
        assert told[key] == pytest.approx((scores.argmax(axis=1) == val.targets.numpy()).mean())


def test_neighbours_are_not_sought_among_many_images(
    data: tuple[Outputs, Outputs], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, val = data
    monkeypatch.setattr(classification, "NEIGHBOURS_AMONG", 59)

    assert describe(solve(train.values, train.targets, 3), train, val)["knn"] is None
