"""The short list: for these images, on this machine, with reasons that are true."""

from __future__ import annotations

import json

import pytest

from graft.errors import DataError
from graft.zoo.catalogue import find
from graft.zoo.machine import Machine
from graft.zoo.suggest import choose, suggest

LAPTOP = Machine(cores=8, memory=16 * 1024**3, accelerator=None, speed=2e11)
SERVER = Machine(cores=32, memory=80 * 1024**3, accelerator="GPU", speed=2e13)
BOARD = Machine(cores=4, memory=1024**3, accelerator=None, speed=5e9)
MACHINES = [LAPTOP, SERVER, BOARD]
AMOUNTS = [4, 244, 4_317, 50_000, 2_000_000]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("images", AMOUNTS)
def test_three_to_five_different_models_are_suggested(images, machine):
    found = [item.entry.name for item in choose(images, machine)]
    assert 3 <= len(found) <= 5
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("images", AMOUNTS)
def test_only_models_of_known_accuracy_and_open_licence_are_suggested(images, machine):
    for item in choose(images, machine):
        assert item.entry.top1 is not None
        assert "NC" not in item.entry.licence


@pytest.mark.parametrize(
    ("images", "strategy"), [(244, "probe"), (4_317, "gradual"), (50_000, "full")]
)
def test_a_fast_machine_follows_the_amount_of_data(images, strategy):
    found = {item.role: item.strategy for item in choose(images, SERVER)}
    assert found["for accuracy"] == strategy
    assert found["to begin with"] == "probe"


def test_a_slow_machine_extracts_features_where_training_takes_too_long_and_says_so():
    [accurate] = [item for item in choose(4_317, BOARD) if item.role == "for accuracy"]
    assert accurate.strategy == "probe"
    assert "'gradual' would take longer" in accurate.reasons[0]


def test_a_faster_machine_gets_models_at_least_as_accurate():
    for images in AMOUNTS:
        best = [max(item.entry.top1 for item in choose(images, m)) for m in (BOARD, LAPTOP, SERVER)]
        assert best == sorted(best)


def test_a_model_that_does_not_fit_into_memory_is_not_suggested():
    small = Machine(cores=64, memory=200_000_000, accelerator=None, speed=2e13)
    assert all(item.entry.parameters * 4 <= 100_000_000 for item in choose(244, small))


def test_the_estimated_time_is_that_of_the_passes():
    [begin] = [item for item in choose(244, LAPTOP) if item.role == "to begin with"]
    assert begin.seconds == pytest.approx(244 * begin.entry.gflops * 1e9 / (2e11 / 2))


def test_a_suggestion_for_a_purpose_suits_it():
    for item in choose(4_317, SERVER):
        if item.role == "for small devices":
            assert "edge" in item.entry.suits


def test_a_folder_is_counted_by_its_training_images(make_folder):
    root = make_folder({"train/ants": 6, "train/bees": 4, "val/ants": 3, "val/bees": 3})
    found = suggest(root, LAPTOP)
    assert (found["images"], found["classes"], found["strategy"]) == (10, 2, "probe")


def test_small_images_are_mentioned(make_folder):
    [note] = suggest(make_folder({"ants": 3, "bees": 3}), LAPTOP)["notes"]
    assert "about 32 pixels" in note


def test_the_document_is_json_and_its_names_can_be_used(make_folder):
    found = json.loads(json.dumps(suggest(make_folder({"ants": 3, "bees": 3}), LAPTOP)))
    for item in found["suggestions"]:
        assert find(item["entry"]["name"]) is not None
        assert item["reasons"]


def test_a_folder_without_images_is_a_data_error(tmp_path):
    with pytest.raises(DataError):
        suggest(tmp_path, LAPTOP)
