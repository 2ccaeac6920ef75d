"""Models in Hugging Face format, saved on disk by transformers itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from tests.backbones import hugging_face

from graft.backbones.load import load_backbone
from graft.errors import BackboneError, ResourceError
from graft.network import staying_offline


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return hugging_face.write(tmp_path / "vit", "vit")


@torch.no_grad()
def test_features_and_the_original_classifier_give_the_original_logits(folder: Path) -> None:
    original = hf.AutoModelForImageClassification.from_pretrained(folder).eval()
    images = torch.randn(2, 3, 64, 64)

    backbone = load_backbone(str(folder))

    assert backbone.name == "hf:vit"
    assert torch.equal(original.classifier(backbone.module(images)), original(images).logits)
    assert load_backbone(f"hf:{folder}").stages == backbone.stages


@torch.no_grad()
def test_position_embeddings_are_interpolated_for_other_sizes(folder: Path) -> None:
    original = hf.AutoModelForImageClassification.from_pretrained(folder).eval()
    images = torch.randn(2, 3, 96, 96)

    backbone = load_backbone(str(folder), image_size=96)

    expected = original(images, interpolate_pos_encoding=True).logits
    torch.testing.assert_close(original.classifier(backbone.module(images)), expected)


def test_weights_in_several_files_are_read(tmp_path: Path) -> None:
    folder = hugging_face.write(tmp_path, "vit")
    model = hf.AutoModelForImageClassification.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="50KB")

    backbone = load_backbone(str(folder))

    assert len(list(folder.glob("model-*.safetensors"))) > 1
    weight = backbone.module.get_parameter("model.vit.layernorm.weight")
    assert torch.equal(weight, model.vit.layernorm.weight)


def test_a_missing_tensor_is_named_and_not_made_up(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    del state["vit.layernorm.weight"]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})

    with pytest.raises(BackboneError, match=r"1 of \d+ tensors are missing.*layernorm.weight"):
        load_backbone(str(folder))


def test_pickled_weights_are_not_read(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()

    with pytest.raises(BackboneError, match=r"has no model\.safetensors"):
        load_backbone(str(folder))


def test_code_of_a_repository_does_not_run(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "evil.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text("raise SystemExit('ran')")

    with pytest.raises(BackboneError, match=r"no image classifier of type 'mine'.*are not run"):
        load_backbone(str(folder))


def test_a_folder_without_a_processor_is_named(folder: Path) -> None:
    (folder / "preprocessor_config.json").unlink()

    with pytest.raises(BackboneError, match=r"has no preprocessor_config\.json"):
        load_backbone(str(folder))


def test_offline_without_a_cache_says_what_is_missing_and_from_where() -> None:
    with staying_offline(), pytest.raises(ResourceError, match=r"'config\.json' in 'no/where'"):
        load_backbone("hf:no/where", meta=True)
