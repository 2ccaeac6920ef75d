"""The table of the zoo: conditions, order, and nothing loaded that it does not need."""

from __future__ import annotations

import subprocess
import sys

import pytest

import graft
from graft.errors import RecipeError
from graft.workflows.zoo import SORTS, list_models


def names(**conditions) -> list[str]:
    return [entry.name.removeprefix("torchvision:") for entry in list_models(**conditions)]


def test_the_zoo_is_a_list_of_entries():
    assert all(isinstance(entry, graft.ZooEntry) for entry in graft.list_models())


@pytest.mark.parametrize("blocked", ["torch", "torchvision", "timm", "numpy", "PIL"])
def test_listing_imports_nothing_slow(blocked):
    code = (
        "import sys, graft\n"
        "entries = [entry.to_dict() for entry in graft.list_models(suits='edge', sort='top1')]\n"
        f"assert entries and {blocked!r} not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_listing_needs_no_network():
    code = (
        "import socket; socket.socket = None; import graft; assert len(graft.list_models()) > 200"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("spelling", ["MaxViT", "maxvit", "max-vit"])
def test_a_family_is_found_however_it_is_spelled(spelling):
    assert "maxvit_t" in names(family=spelling)


def test_a_family_is_not_mixed_with_one_whose_name_contains_it():
    assert names(family="resnet", provider="torchvision") == [
        "resnet18",
        "resnet34",
        "resnet50",
        "resnet101",
        "resnet152",
    ]


def test_models_can_be_had_from_one_provider():
    assert {entry.provider for entry in list_models(provider="timm")} == {"timm"}


@pytest.mark.parametrize("limit", ["10M", "10m", "10,000,000", "10000k", "0.01B", 10_000_000])
def test_a_number_of_parameters_can_be_written_in_many_ways(limit):
    found = list_models(max_params=limit)
    assert found == list_models(max_params="10000000")
    assert max(entry.parameters for entry in found) <= 10_000_000


def test_a_limit_is_met_by_a_model_of_just_that_size():
    assert "resnet18" in names(max_params=11_689_512)
    assert "resnet18" not in names(max_params=11_689_511)


def test_a_least_accuracy_leaves_out_models_of_unknown_accuracy():
    found = list_models(min_top1=75)
    assert found
    assert all(entry.top1 is not None and entry.top1 >= 75 for entry in found)


def test_conditions_add_up():
    found = list_models(max_params="10M", min_top1=75, suits="edge", provider="torchvision")
    assert {"mobilenet_v3_large", "efficientnet_b0"} <= {
        entry.name.removeprefix("torchvision:") for entry in found
    }
    assert all(entry.parameters <= 1e7 and "edge" in entry.suits for entry in found)


def test_conditions_that_nothing_meets_give_an_empty_list():
    assert list_models(max_params="1M", min_top1=90) == []


def test_the_most_accurate_come_first_and_unknown_ones_last():
    accuracies = [entry.top1 or 0 for entry in list_models(sort="top1")]
    assert accuracies == sorted(accuracies, reverse=True)


@pytest.mark.parametrize(("sort", "fact"), [("params", "parameters"), ("flops", "gflops")])
def test_the_cheapest_come_first(sort, fact):
    values = [getattr(entry, fact) for entry in list_models(sort=sort)]
    assert values == sorted(values)


def test_numbers_in_names_sort_as_numbers():
    assert names()[0] == "alexnet"
    assert names().index("resnet18") < names().index("resnet101")


@pytest.mark.parametrize("sort", SORTS)
def test_every_order_holds_every_model(sort):
    assert {entry.name for entry in list_models(sort=sort)} == {
        entry.name for entry in list_models()
    }


@pytest.mark.parametrize(
    ("condition", "value", "near"),
    [
        ("family", "ResNot", "resnet"),
        ("provider", "timmm", "timm"),
        ("suits", "edgy", "edge"),
        ("sort", "topp1", "top1"),
        ("max_params", "ten", "10M"),
        ("max_params", "-3M", "10M"),
    ],
)
def test_a_condition_that_is_not_understood_is_answered_with_the_way_out(condition, value, near):
    with pytest.raises(RecipeError, match=value) as raised:
        list_models(**{condition: value})
    assert near in raised.value.remedy
