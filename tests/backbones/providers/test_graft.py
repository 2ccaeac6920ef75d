import json
import socket

import pytest
import torch
from safetensors.torch import load_file

from graft.backbones.load import load_backbone
from graft.backbones.providers import SHIPPED_WEIGHTS
from graft.backbones.providers.graft import GraftSmall, weights_file
from graft.errors import BackboneError
from graft.files import sha256


def test_the_file_is_small_and_in_half_precision():
    assert weights_file().stat().st_size <= 4_000_000
    assert {tensor.dtype for tensor in load_file(weights_file()).values()} == {torch.float16}


def test_it_has_about_a_million_and_a_half_parameters():
    assert sum(p.numel() for p in GraftSmall().parameters()) < 2_000_000


def test_it_loads_with_its_weights_and_without_a_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    backbone = load_backbone("graft-small")
    stored = load_file(weights_file())
    for name, tensor in backbone.module.state_dict().items():
        if tensor.is_floating_point():
            assert torch.equal(tensor, stored[name].float()), name
    assert backbone.name == "graft:graft-small"
    assert backbone.provenance.sha256 == sha256(weights_file())
    assert backbone.provenance.weights == SHIPPED_WEIGHTS["graft-small"]


def test_the_record_beside_the_weights_is_of_these_weights():
    record = json.loads(weights_file().with_suffix(".json").read_text())
    assert record["sha256"] == sha256(weights_file())
    assert record["recipe"]["seed"] == 0
    assert record["hours"] > 0


def test_it_goes_by_its_bare_name_and_by_its_providers():
    same = load_backbone("graft:graft-small@procedural-1", meta=True)
    assert same.record() == load_backbone("graft-small", meta=True).record()


@pytest.mark.parametrize("size", [16, 28, 33, 64, 96])
def test_it_takes_images_of_any_size(size):
    backbone = load_backbone("graft-small", image_size=size)
    assert backbone.module(torch.zeros(2, 3, size, size)).shape == (2, 448)


def test_wrong_names_are_refused_with_the_nearest():
    with pytest.raises(BackboneError, match="graft-small"):
        load_backbone("graft:graft-smal")
    with pytest.raises(BackboneError, match="procedural-1"):
        load_backbone("graft-small@other")


def test_features_tell_images_apart():
    backbone = load_backbone("graft-small")
    torch.manual_seed(0)
    with torch.inference_mode():
        features = backbone.module(torch.randn(8, 3, 64, 64))
    assert features.std(dim=0).mean() > 0.01
