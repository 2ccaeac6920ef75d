"""A description is complete, adds up, and needs no weights."""

from __future__ import annotations

import json
import socket

import pytest

from graft.backbones.trace import is_spatial
from graft.errors import BackboneError
from graft.zoo.description import describe

NAMES = ["resnet18", "mobilenet_v3_small", "squeezenet1_1", "vit_b_32"]


@pytest.fixture(scope="module", params=NAMES)
def found(request):
    return describe(request.param)


def test_parameters_of_the_stages_add_up(found):
    assert sum(stage.parameters for stage in found.stages) == found.parameters
    assert found.parameters < found.facts.parameters


def test_norm_layers_of_the_stages_add_up(found):
    counted: dict[str, int] = {}
    for stage in found.stages:
        for kind, number in stage.norms.items():
            counted[kind] = counted.get(kind, 0) + number
    assert counted == found.norms


def test_the_grad_cam_layer_is_in_the_last_stage_with_positions(found):
    path = f"{found.grad_cam.path}."
    last = [stage for stage in found.stages if is_spatial(stage.shape)][-1]
    assert any(
        path.startswith(f"{module}.") or f"{module}.".startswith(path) for module in last.modules
    )


def test_a_description_is_json(found):
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["stages"][0]["name"] == "stem"
    assert document["provenance"]["top1"] == document["facts"]["top1"]


def test_nothing_is_fetched_or_asked(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(socket, "socket", None)
    assert describe("resnet18").provenance.weights == "IMAGENET1K_V1"
    assert not list(tmp_path.iterdir())


def test_other_weights_do_not_get_the_facts_of_the_default_ones():
    found = describe("resnet50@IMAGENET1K_V1")
    assert found.facts is None
    assert found.provenance.top1 == 76.13


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(BackboneError, match="resnet18"):
        describe("resnet81")
