"""`graft predict` with a published network: its own classifier, its own classes."""

from __future__ import annotations

import json

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torchvision.models import SqueezeNet1_1_Weights, squeezenet1_1

import graft
from graft.errors import BackboneError, DataError, RecipeError
from graft.workflows.predict import is_published


def test_a_published_network_gives_what_its_own_library_gives(photos, weights):
    network = squeezenet1_1()
    network.load_state_dict(load_file(weights))
    published = SqueezeNet1_1_Weights.IMAGENET1K_V1
    image = photos / "val/red/00.png"
    with torch.no_grad(), Image.open(image) as opened:
        shares = network.eval()(published.transforms()(opened)[None]).softmax(1)[0]
    [found] = graft.predict("squeezenet1_1", [image], weights=weights, top=1000)
    assert len({label for label, _ in found.top}) == 1000
    assert found.label == published.meta["categories"][int(shares.argmax())]
    in_order = torch.tensor([share for _, share in found.top])
    assert in_order == pytest.approx(shares.sort(descending=True).values, rel=1e-2, abs=1e-5)


def test_ants_are_ants_and_bees_are_bees(shared):
    weights = shared / "weights/mobilenet_v2.safetensors"
    for name, words in (("ants", {"ant"}), ("bees", {"bee"})):
        images = sorted((shared / "data/hymenoptera/val" / name).iterdir())[:20]
        found = list(graft.predict("mobilenet_v2", images, weights=weights))
        assert sum(bool(words & {label for label, _ in each.top}) for each in found) >= 16


def test_the_command_names_five_classes_and_json_has_the_same_keys(graft_cli, photos, weights):
    image = photos / "val/red/00.png"
    outcome = graft_cli("predict", "squeezenet1_1", image, "--weights", weights)
    assert outcome.code == 0, outcome.err
    path, *answers = outcome.out.rstrip("\n").split("\t")
    assert path == str(image)
    assert len(answers) == 10
    outcome = graft_cli("predict", "squeezenet1_1", image, "--weights", weights, "--json")
    document = json.loads(outcome.out)
    assert set(document) == {"path", "label", "confidence", "top"}
    assert [each["label"] for each in document["top"]] == answers[::2]


def test_an_unknown_name_gets_the_nearest(graft_cli, photos):
    outcome = graft_cli("predict", "ResNet81", photos / "val/red/00.png")
    assert outcome.code == 3
    assert "'resnet18'" in outcome.err
    assert len(outcome.err.strip().splitlines()) == 2


def test_a_folder_that_is_not_there_is_no_network(photos):
    assert not is_published("runs/first")
    with pytest.raises(DataError, match="neither a model folder nor a run"):
        list(graft.predict("runs/first", [photos / "val"]))


def test_a_network_without_a_classifier_says_what_to_do(photos):
    with pytest.raises(BackboneError, match="graft fit DIR --backbone graft-small"):
        list(graft.predict("graft-small", [photos / "val"]))


def test_weights_have_no_place_in_a_trained_model(photos, weights, tmp_path):
    with pytest.raises(RecipeError, match="its own weights"):
        list(graft.predict(tmp_path, [photos / "val"], weights=weights))


def test_without_a_network_the_way_out_is_named(graft_cli, photos, monkeypatch, tmp_path):
    monkeypatch.setenv("GRAFT_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    outcome = graft_cli("predict", "resnet18", photos / "val/red/00.png")
    assert outcome.code == 4
    assert "--weights FILE" in outcome.err
    assert "lite0" in outcome.err
    assert len(outcome.err.strip().splitlines()) == 2
