"""The facts of the zoo are those that the providers publish, each with its source."""

from __future__ import annotations

import dataclasses

import pytest

from graft.backbones.providers import find_provider
from graft.zoo.catalogue import ZooEntry, all_entries, find

ENTRIES = all_entries()
FACTS = [
    field.name
    for field in dataclasses.fields(ZooEntry)
    if field.name not in ("name", "family", "source", "sources")
]


def of(provider: str) -> list[ZooEntry]:
    return [entry for entry in ENTRIES if entry.provider == provider]


def test_every_classification_model_of_torchvision_is_listed():
    listed = {entry.name.removeprefix("torchvision:") for entry in of("torchvision")}
    assert listed == set(find_provider("torchvision").names())


def test_timm_is_listed_broadly():
    assert len(of("timm")) >= 150
    assert len({entry.family for entry in of("timm")}) >= 25


def test_no_model_is_listed_twice():
    assert len({entry.name for entry in ENTRIES}) == len(ENTRIES)


@pytest.mark.parametrize("fact", FACTS)
def test_a_known_fact_has_a_source_and_an_unknown_one_has_none(fact):
    for entry in ENTRIES:
        assert (getattr(entry, fact) is None) == (entry.source_of(fact) is None)


def test_facts_of_torchvision_are_those_of_the_installed_weights():
    from torchvision import models

    for entry in of("torchvision"):
        weights = models.get_model_weights(entry.name.removeprefix("torchvision:")).DEFAULT
        meta, preset = weights.meta, weights.transforms()
        assert entry.weights == weights.name
        assert entry.url == weights.url
        assert entry.parameters == meta["num_params"]
        assert entry.gflops == meta["_ops"]
        assert entry.top1 == meta["_metrics"]["ImageNet-1K"]["acc@1"]
        assert entry.file_mb == meta["_file_size"]
        assert [entry.image_size] == preset.crop_size
        assert (entry.mean, entry.std) == (tuple(preset.mean), tuple(preset.std))


def test_weights_for_non_commercial_use_say_so():
    assert find("vit_h_14").licence == "CC-BY-NC-4.0"
    assert "SWAG" in find("vit_h_14").source_of("licence")


def test_facts_of_timm_are_those_of_the_installed_configurations():
    models = pytest.importorskip("timm.models")
    for entry in of("timm"):
        published = models.get_pretrained_cfg(entry.name.removeprefix("timm:"))
        assert published.tag == entry.weights
        assert published.num_classes == 1000
        assert published.input_size == (3, entry.image_size, entry.image_size)
        assert (published.mean, published.std) == (entry.mean, entry.std)
        assert (published.license or "").lower() == (entry.licence or "").lower()


def test_accuracy_that_the_package_does_not_carry_is_unknown():
    assert all(entry.top1 is None for entry in of("timm"))


def test_facts_are_about_certain_weights():
    assert find("resnet50", "IMAGENET1K_V2") is not None
    assert find("resnet50", "IMAGENET1K_V1") is None


def test_a_model_that_is_not_listed_has_no_facts():
    assert find("timm:mine") is None
