"""What torchvision knows about its models, and what its published files need."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision import models

from graft.backbones.build import build_without_values
from graft.backbones.load import load_backbone
from graft.backbones.providers import torchvision
from graft.errors import BackboneError


@pytest.mark.parametrize("name", torchvision.names())
def test_every_model_has_an_offer_with_a_source_and_a_published_accuracy(name: str) -> None:
    model_info = torchvision.model_info(name, None, None, None)

    assert str(model_info.provenance.source).startswith("https://download.pytorch.org/")
    assert 50 < (model_info.provenance.top1 or 0) < 90
    assert model_info.preprocess.channels == 3


def test_weights_that_may_not_be_sold_say_so() -> None:
    model_info = torchvision.model_info("vit_h_14", None, None, None)

    assert "SWAG" in str(model_info.provenance.licence)
    assert model_info.preprocess.image_size == (518, 518)
    assert model_info.preprocess.interpolation == "bicubic"


@pytest.mark.parametrize(
    ("file", "resize"),
    [("resnet50-11ad3fa6.pth", 232), ("resnet50-0676ba61.pth", 256), ("mine.safetensors", 256)],
)
def test_preprocessing_follows_the_name_of_a_published_file(file: str, resize: int) -> None:
    assert torchvision.model_info("resnet50", None, None, Path(file)).preprocess.resize == resize


def test_weights_named_for_a_file_decide_its_preprocessing() -> None:
    model_info = torchvision.model_info("resnet50", "IMAGENET1K_V2", None, Path("mine.pth"))

    assert model_info.preprocess.resize == 232


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
@torch.inference_mode()
def test_published_files_of_the_inception_family_give_what_torchvision_makes_of_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = torch.rand(4, 3, 96, 96)
    full = models.get_model(name, aux_logits=True, init_weights=False).eval()
    for norm in (module for module in full.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.train().momentum = 1.0  # so that activations neither vanish nor grow
    full(images)
    state = full.state_dict()
    torch.save(state, tmp_path / "w.pth")
    monkeypatch.setattr(models.WeightsEnum, "get_state_dict", lambda *_, **__: state)
    theirs = models.get_model(name, weights="DEFAULT").eval()

    ours = load_backbone(name, weights=tmp_path / "w.pth").module

    torch.testing.assert_close(theirs.fc(ours(images)), theirs(images))
    assert not any("aux" in key.lower() for key in ours.state_dict())


def test_old_names_in_published_files_are_understood() -> None:
    old = {
        "features.denseblock1.denselayer1.norm.1.weight": torch.zeros(1),
        "encoder.layers.encoder_layer_0.mlp.linear_2.bias": torch.zeros(1),
    }

    assert list(torchvision.adapt(old, {"name": "densenet121"})) == [
        "features.denseblock1.denselayer1.norm1.weight",
        "encoder.layers.encoder_layer_0.mlp.3.bias",
    ]


def test_position_embeddings_follow_the_image_size() -> None:
    small = {"conv_proj.weight": torch.zeros(8, 3, 32, 32)}
    small["encoder.pos_embedding"] = torch.randn(1, 1 + 2 * 2, 8)

    large = torchvision.adapt(
        small, torchvision.model_info("vit_b_32", None, 96, None).architecture
    )

    embedding = large["encoder.pos_embedding"]
    assert embedding.shape == (1, 1 + 3 * 3, 8)
    assert torch.equal(embedding[:, 0], small["encoder.pos_embedding"][:, 0])


def test_an_impossible_image_size_is_named() -> None:
    with pytest.raises(BackboneError, match=r"vit_b_16.*100.*cannot be built.*patch size"):
        load_backbone("vit_b_16", meta=True, image_size=100)


def test_looking_at_the_largest_network_takes_no_memory_for_its_weights() -> None:
    network = build_without_values(torchvision, {"name": "regnet_y_128gf", "options": {}})

    assert {parameter.device.type for parameter in network.parameters()} == {"meta"}
