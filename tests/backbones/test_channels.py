"""Images of one channel, or of more than three."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tests.backbones import hugging_face
from torchvision import models

from graft.backbones.backbone import Backbone
from graft.backbones.load import load_backbone
from graft.errors import BackboneError


@torch.no_grad()
def test_a_grey_image_gets_what_it_gets_in_colour(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_file(models.squeezenet1_1().state_dict(), tmp_path / "w.safetensors")
    colour = load_backbone("squeezenet1_1", weights=tmp_path / "w.safetensors", image_size=64)
    grey = load_backbone(
        "squeezenet1_1", weights=tmp_path / "w.safetensors", image_size=64, channels=1
    )
    one = torch.rand(2, 1, 64, 64)

    assert grey.preprocess.channels == 1
    assert grey.preprocess.pixels([Image.new("RGB", (64, 64))]).shape == (1, 1, 64, 64)
    torch.testing.assert_close(grey.module(one), colour.module(one.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize("name", ["resnet18", "timm:vit_tiny_patch16_224", "swin_t"])
def test_more_channels_keep_the_size_of_activations(name: str) -> None:
    plain = load_backbone(name, pretrained=False, image_size=64)
    six = load_backbone(name, pretrained=False, image_size=64, channels=6)
    [path] = six.input_layers
    weights = [b.module.get_parameter(f"{path}.weight") for b in (plain, six)]
    images = torch.rand(2, 3, 64, 64)

    torch.testing.assert_close(2 * weights[1][:, :3], weights[0])
    torch.testing.assert_close(six.module(images.repeat(1, 2, 1, 1)), plain.module(images))


def test_a_backbone_of_other_channels_is_rebuilt_from_its_record() -> None:
    backbone = load_backbone("squeezenet1_1", pretrained=False, image_size=64, channels=5)
    record = json.loads(json.dumps(backbone.record()))
    images = torch.rand(1, 5, 64, 64)

    same = Backbone.from_record(record, backbone.module.state_dict())

    assert torch.equal(same.module(images), backbone.module(images))


def test_transformers_networks_follow(tmp_path: Path) -> None:
    folder = hugging_face.write(tmp_path / "vit", "vit")

    backbone = load_backbone(str(folder), channels=1)

    assert tuple(backbone.module(torch.rand(2, 1, 64, 64)).shape) == (2, 32)


def test_a_network_that_mixes_colours_before_its_first_layer_is_refused() -> None:
    with pytest.raises(BackboneError, match="channels"):
        load_backbone("googlenet", meta=True, channels=5)


def test_images_have_no_more_than_three_channels() -> None:
    backbone = load_backbone("resnet18", meta=True, channels=4)

    with pytest.raises(BackboneError, match="1 or 3 channels"):
        backbone.preprocess.pixels([Image.new("RGB", (224, 224))])
