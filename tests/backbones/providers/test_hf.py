"""Models in Hugging Face format, saved on disk by transformers itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from tests.backbones import hugging_face
from tests.hostile import guarded

import graft
from graft.backbones.load import load_backbone, load_published
from graft.download import staying_offline
from graft.errors import BackboneError, DataError, ResourceError


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


@pytest.mark.parametrize(
    "change",
    [
        {"_attn_implementation": "attacker/kernel"},
        {"attn_implementation": "attacker/kernel"},
        {"auto_map": {"AutoModelForImageClassification": "evil.Model"}},
        {"quantization_config": {"quant_method": "attacker"}, "dtype": "float16"},
        {"use_kernels": True, "_name_or_path": "attacker/x", "backbone": "attacker/x"},
    ],
)
def test_options_that_choose_code_or_kernels_never_reach_transformers(
    folder: Path, change: dict[str, object]
) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))

    backbone = load_backbone(str(folder))

    assert not set(change) & set(backbone.architecture["config"])
    assert backbone.module.model.config._attn_implementation in ("eager", "sdpa")


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": 10**12},
        {"hidden_size": -1},
        {"hidden_size": "../../x"},
        {"hidden_act": "attacker/kernel"},
        {"patch_size": [16] * 1000},
        {"layer_norm_eps": {"a": 1}},
        {"num_labels": True, "id2label": 7, "image_size": 2.5},
    ],
)
def test_values_that_no_configuration_needs_are_refused(
    folder: Path, change: dict[str, object]
) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))

    with guarded(), pytest.raises((DataError, BackboneError)) as refused:
        load_backbone(str(folder))
    assert "\n" not in refused.value.problem


@pytest.mark.parametrize(
    "change",
    [
        {"size": {"height": 10**6, "width": 10**6}},
        {"crop_pct": 1e-9},
        {"image_processor_type": "AutoModel"},
        {"image_processor_type": "os.system"},
        {"size": {"height": {"a": 1}}},
        {"image_mean": ["x/y"]},
    ],
)
def test_a_processor_that_asks_for_code_or_a_huge_image_is_refused(
    folder: Path, change: dict[str, object]
) -> None:
    file = folder / "preprocessor_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))

    with guarded(), pytest.raises(DataError, match="is not possible"):
        load_backbone(str(folder), meta=True)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, '{"a": NaN}', "1" * 5000])
def test_a_file_that_is_no_plain_json_is_named(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)

    with pytest.raises(DataError, match=name):
        load_backbone(str(folder), meta=True)


def test_a_folder_predicts_with_its_own_classes_in_the_order_of_its_logits(
    tmp_path: Path, make_photo
) -> None:
    folder = hugging_face.write(tmp_path / "model", "resnet", labels=12)
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {str(number): f"class {number}" for number in reversed(range(12))}
    (folder / "config.json").write_text(json.dumps(config))
    make_photo().save(tmp_path / "photo.png")

    published = load_published(str(folder))
    assert published.classes == tuple(f"class {number}" for number in range(12))
    [found] = graft.predict(folder, [tmp_path / "photo.png"], top=12)
    assert {label for label, _ in found.top} == set(published.classes)
