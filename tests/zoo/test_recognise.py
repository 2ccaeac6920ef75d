"""A weights file without a name is recognised by its tensors."""

from __future__ import annotations

import pytest
import torch

from graft.backbones.build import build
from graft.backbones.load import load_backbone
from graft.backbones.providers import find_provider
from graft.backbones.providers.lite import weights_file
from graft.errors import BackboneError
from graft.heads.linear import LinearHead
from graft.model import Classifier
from graft.zoo.catalogue import find
from graft.zoo.recognize import narrowed, recognise_weights


def test_weights_alone_are_recognised_by_their_tensors(weights, tmp_path):
    renamed = tmp_path / "mine.safetensors"
    renamed.write_bytes(weights.read_bytes())
    assert recognise_weights(renamed) == "squeezenet1_1"


def test_the_shipped_network_is_recognised_too(tmp_path):
    network = build(find_provider("graft"), {"name": "graft-small"})
    torch.save(network.state_dict(), tmp_path / "w.pth")
    assert recognise_weights(tmp_path / "w.pth") == "graft-small"


def test_published_weights_of_a_package_are_recognised_and_so_are_saved_ones(tmp_path):
    file = weights_file("lite0")
    (tmp_path / "mine.pth").symlink_to(file)
    assert recognise_weights(tmp_path / "mine.pth") == "lite0"
    backbone = load_backbone("lite0", pretrained=False)
    Classifier(backbone, LinearHead(backbone.width, 2), ("ants", "bees")).save(tmp_path / "model")
    assert recognise_weights(tmp_path / "model/model.safetensors") == "lite0"


@pytest.mark.parametrize("name", ["googlenet", "mobilenet_v2", "resnet34", "mnasnet0_5"])
def test_weights_for_few_classes_and_published_ones_are_among_the_likely(name):
    provider = find_provider("torchvision")
    network = provider.build({"name": name, "options": {}})
    few = (
        sum(p.numel() for p in network.parameters()) - 998 * list(network.modules())[-1].in_features
    )
    published = find(name).file_mb * 2**20 / 4
    for numbers in (few, published):
        assert name in narrowed("torchvision", numbers).names()


def test_tensors_of_no_known_network_ask_for_a_name(tmp_path):
    torch.save({"fc.weight": torch.zeros(1000, 4000)}, tmp_path / "w.pth")
    with pytest.raises(BackboneError, match=r"no network that Graft knows .* --backbone"):
        recognise_weights(tmp_path / "w.pth")
