"""What a model suits follows from its facts alone."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from graft.zoo.catalogue import PURPOSES, all_entries, purposes_of


@dataclass
class Model:
    parameters: int
    gflops: float
    top1: float | None


@pytest.mark.parametrize(
    ("model", "purposes"),
    [
        (Model(10_000_000, 1.0, 70.0), ("prototype", "edge")),
        (Model(10_000_001, 1.0, 70.0), ("prototype",)),
        (Model(10_000_000, 1.1, 70.0), ("prototype",)),
        (Model(30_000_000, 2.6, 70.0), ()),
        (Model(60_000_000, 10.0, 78.0), ("balanced",)),
        (Model(60_000_000, 10.0, 77.9), ()),
        (Model(60_000_000, 10.1, 83.0), ("accuracy",)),
        (Model(80_000_000, 20.0, 80.0), ("large-data",)),
        (Model(80_000_000, 20.0, 79.9), ()),
    ],
)
def test_a_purpose_ends_where_its_words_say(model, purposes):
    assert purposes_of(model) == purposes


def test_a_model_of_unknown_accuracy_suits_nothing_that_asks_for_accuracy():
    assert purposes_of(Model(1_000_000, 0.1, None)) == ("prototype", "edge")
    assert purposes_of(Model(90_000_000, 9.0, None)) == ("large-data",)


@pytest.mark.parametrize("purpose", [purpose.name for purpose in PURPOSES])
def test_every_purpose_has_models_of_torchvision(purpose):
    suited = [entry for entry in all_entries() if purpose in entry.suits]
    assert sum(entry.provider == "torchvision" for entry in suited) >= 10


def test_vgg_is_not_for_large_data_for_the_size_of_a_classifier_that_is_removed():
    vgg = [entry for entry in all_entries() if entry.family == "VGG"]
    assert vgg
    assert not any("large-data" in entry.suits for entry in vgg)
