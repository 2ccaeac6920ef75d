"""What timm knows about its models, and what its files need."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.data import create_transform, resolve_model_data_config

from graft.backbones.load import load_backbone
from graft.backbones.providers import find_provider
from graft.backbones.providers import timm as provider
from graft.download import staying_offline
from graft.errors import BackboneError, ResourceError


@pytest.mark.parametrize("name", ["resnet18.a1_in1k", "vit_tiny_patch16_224", "efficientnet_b0"])
def test_preprocessing_is_that_of_timms_evaluation(name: str) -> None:
    model = timm.create_model(name)
    theirs = create_transform(**resolve_model_data_config(model), is_training=False)
    ours = provider.model_info(name, None, None, None).preprocess
    noise = np.random.default_rng(0).integers(256, size=(6, 8, 3), dtype=np.uint8)
    photo = Image.fromarray(noise).resize((400, 300), Image.Resampling.BICUBIC)

    pixels = ours.normalize(ours.pixels([ours.view(photo)]))[0]

    assert (pixels - theirs(photo)).abs().max() < 2 / 255 / min(ours.std)


def test_a_tag_chooses_the_weights_and_their_preprocessing() -> None:
    dotted = provider.model_info("resnet18.tv_in1k", None, None, None)

    assert dotted.name == "timm:resnet18.tv_in1k"
    assert (dotted.preprocess.interpolation, dotted.preprocess.resize) == ("bilinear", 256)
    assert dotted.provenance.source == "https://huggingface.co/timm/resnet18.tv_in1k"
    assert provider.model_info("resnet18", "tv_in1k", None, None).name == dotted.name


def test_unknown_names_and_tags_bring_those_there_are() -> None:
    with pytest.raises(BackboneError, match=r"no backbone 'resnet81'.*'resnet18'"):
        load_backbone("timm:resnet81", meta=True)
    with pytest.raises(BackboneError, match=r"no weights 'nope'.*a1_in1k"):
        load_backbone("timm:resnet18.nope", meta=True)


def test_a_timm_state_dict_loads_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = timm.create_model("resnet18", num_classes=7).eval()
    save_file(model.state_dict(), tmp_path / "mine.safetensors")
    images = torch.randn(2, 3, 64, 64)

    backbone = load_backbone("timm:resnet18", weights=tmp_path / "mine.safetensors")

    with torch.no_grad():
        torch.testing.assert_close(model.fc(backbone.module(images)), model(images))


def test_position_embeddings_follow_the_image_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224")
    save_file(model.state_dict(), tmp_path / "vit.safetensors")

    backbone = load_backbone(
        "timm:vit_tiny_patch16_224", weights=tmp_path / "vit.safetensors", image_size=96
    )

    assert backbone.module.pos_embed.shape == (1, 1 + 6 * 6, 192)
    assert torch.equal(backbone.module.pos_embed[:, 0], model.pos_embed[:, 0])
    assert torch.equal(backbone.module.blocks[0].attn.qkv.weight, model.blocks[0].attn.qkv.weight)


def test_a_file_of_another_architecture_is_named(tmp_path: Path) -> None:
    save_file(timm.create_model("resnet18").state_dict(), tmp_path / "w.safetensors")

    with pytest.raises(BackboneError, match=r"does not fit.*It fits 'resnet18"):
        load_backbone("timm:resnet34", weights=tmp_path / "w.safetensors")


def test_offline_without_a_cache_says_what_is_missing_and_from_where() -> None:
    with staying_offline(), pytest.raises(ResourceError, match=r"timm/test_vit\.") as refusal:
        load_backbone("timm:test_vit")

    assert "https://huggingface.co" in str(refusal.value)


@pytest.mark.parametrize(
    "name", ["crossvit_9_240", "deit_tiny_distilled_patch16_224", "levit_128s"]
)
def test_twin_classifiers_are_refused_in_words(name: str) -> None:
    with pytest.raises(BackboneError, match="is not its only classifier"):
        load_backbone(f"timm:{name}", meta=True)


def test_a_missing_library_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'timm'", name="timm")

    monkeypatch.setattr("graft.plugins.import_module", missing)

    with pytest.raises(BackboneError, match=r"pip install 'graftlearn\[timm\]'"):
        find_provider("timm")


def test_classes_are_those_of_the_set_that_the_weights_were_trained_on() -> None:
    def classes(name: str) -> list[str]:
        found = provider.model_info(name, None, None, None).classes
        assert found is not None
        return list(found())

    assert classes("mobilenetv3_small_050")[281:283] == ["tabby", "tiger cat"]
    assert len(classes("mobilenetv4_conv_medium.e250_r384_in12k")) == 11821
    without = provider.model_info("vit_small_patch14_dinov2.lvd142m", None, None, None)
    assert without.classes is None
