"""From a name to a backbone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from graft.backbones.backbone import Backbone
from graft.backbones.load import absolute_name, load_backbone
from graft.download import staying_offline
from graft.errors import BackboneError


@pytest.mark.parametrize(("name", "width"), [("mobilenet_v2", 1280), ("squeezenet1_1", 512)])
def test_real_weights_load_from_a_file(shared: Path, name: str, width: int) -> None:
    file = shared / "weights" / f"{name}.safetensors"

    backbone = load_backbone(name, weights=file)

    assert backbone.width == width
    assert backbone.provenance.source == file.name
    assert len(backbone.provenance.sha256 or "") == 64
    assert (backbone.provenance.top1, backbone.provenance.licence) == (None, None)
    assert (backbone.preprocess.resize, backbone.preprocess.image_size) == (256, (224, 224))
    assert not backbone.module.training


def test_describing_a_backbone_fetches_nothing() -> None:
    with staying_offline():
        backbone = load_backbone("vgg16", meta=True)

    assert {tensor.device.type for tensor in backbone.module.state_dict().values()} == {"meta"}
    assert backbone.provenance.weights == "IMAGENET1K_V1"


def test_an_unknown_backbone_brings_the_nearest_names() -> None:
    with pytest.raises(BackboneError, match=r"no backbone 'resnet81'.*Nearest: 'resnet18'"):
        load_backbone("resnet81")


def test_an_unknown_provider_is_named() -> None:
    with pytest.raises(BackboneError, match=r"'torchvison' is not a provider.*'torchvision'"):
        load_backbone("torchvison:resnet18")


def test_unknown_weights_bring_those_there_are() -> None:
    with pytest.raises(BackboneError, match=r"'resnet50' has no weights 'V3'.*IMAGENET1K_V2"):
        load_backbone("resnet50@V3")


def test_random_weights_depend_on_the_seed_alone() -> None:
    def first_weight(seed: int) -> torch.Tensor:
        backbone = load_backbone("squeezenet1_1", pretrained=False, image_size=64, seed=seed)
        return backbone.module.get_parameter("features.0.weight")

    torch.manual_seed(0)
    one = first_weight(1)
    torch.manual_seed(5)

    assert torch.equal(first_weight(1), one)
    assert not torch.equal(first_weight(2), one)


def test_loading_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)

    load_backbone("squeezenet1_1", pretrained=False, image_size=64)

    assert torch.equal(torch.rand(1), expected)


def test_random_weights_carry_no_published_facts() -> None:
    backbone = load_backbone("squeezenet1_1", pretrained=False, image_size=64)

    assert (backbone.provenance.weights, backbone.provenance.top1) == (None, None)


def test_a_file_and_random_weights_together_are_refused() -> None:
    with pytest.raises(BackboneError, match="Both a weights file"):
        load_backbone("resnet18", weights="w.pth", pretrained=False)


def test_the_image_size_can_be_chosen() -> None:
    backbone = load_backbone("mobilenet_v2", meta=True, image_size=128)

    assert backbone.preprocess.image_size == (128, 128)
    assert backbone.stages[-1].shape == (1280, 4, 4)


@pytest.mark.parametrize("name", ["mobilenet_v2", "swin_t", "vgg11", "vit_b_32"])
def test_stages_do_not_depend_on_the_image_size(name: str) -> None:
    usual = load_backbone(name, meta=True).stages
    small = load_backbone(name, meta=True, image_size=32).stages

    assert [stage.modules for stage in small] == [stage.modules for stage in usual]
    assert [stage.parameters for stage in small] == [stage.parameters for stage in usual]


@pytest.mark.parametrize(
    ("network", "name", "stages"),
    [
        ("resnet18", "stage2", ("stage2",)),
        ("resnet18", "layer2", ("stage2",)),
        ("resnet18", "layer2.1.conv1", ("stage2",)),
        ("resnet18", "bn1", ("stem",)),
        ("resnet18", "fc", ("head",)),
        ("resnet18", "head", ("head",)),
        ("mobilenet_v2", "classifier", ("head",)),
        ("mobilenet_v2", "features.18", ("stage5",)),
        ("mobilenet_v2", "features", ("stem", *(f"stage{n}" for n in range(1, 6)))),
        ("squeezenet1_1", "classifier", ("head",)),
        ("vgg11", "classifier", ("head",)),
        ("vit_b_16", "heads", ("head",)),
    ],
)
def test_a_module_of_the_network_stands_for_the_stages_it_makes_or_lies_in(
    network: str, name: str, stages: tuple[str, ...]
) -> None:
    assert load_backbone(network, meta=True).stages_of(name) == stages


def test_a_block_is_found_by_its_number_in_the_sequence() -> None:
    backbone = load_backbone("vit_b_16", meta=True)
    assert backbone.stages_of("encoder.layers.11") == (backbone.stages[-1].name,)
    assert backbone.stages_of("encoder.layers.0") == backbone.stages_of(
        "encoder.layers.encoder_layer_0"
    )


@pytest.mark.parametrize("name", ["layer9", "features.18", "encoder.layers.11"])
def test_an_unknown_stage_brings_those_there_are(name: str) -> None:
    with pytest.raises(BackboneError, match=rf"no stage '{name}'.*stem, stage1, stage2"):
        load_backbone("resnet18", meta=True).stages_of(name)


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        ("ResNet-18", "resnet18"),
        ("ResNet18", "resnet18"),
        ("EfficientNet-B0", "efficientnet_b0"),
        ("torchvision:VGG-16@IMAGENET1K_V1", "torchvision:vgg16@IMAGENET1K_V1"),
        ("ResNet-1801", "ResNet-1801"),
        ("hf:microsoft/ResNet-18", "hf:microsoft/ResNet-18"),
    ],
)
def test_an_architecture_is_known_by_other_spellings_of_its_name(spelled: str, name: str) -> None:
    assert absolute_name(spelled) == name


def test_a_backbone_loads_by_another_spelling_of_its_name() -> None:
    assert load_backbone("MobileNet-V2", meta=True).name == "torchvision:mobilenet_v2"


def test_a_damaged_record_is_named() -> None:
    record = load_backbone("squeezenet1_1", meta=True).record()
    del record["stages"]

    with pytest.raises(BackboneError, match="record of the backbone is damaged"):
        Backbone.from_record(record)


def test_a_state_that_does_not_fit_its_record_is_named() -> None:
    record = load_backbone("squeezenet1_1", meta=True).record()

    with pytest.raises(BackboneError, match="The stored state does not fit"):
        Backbone.from_record(record, {"features.0.weight": torch.zeros(1)})


def test_a_folder_that_is_no_backbone_does_not_hide_the_architecture_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "resnet18").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert absolute_name("resnet18") == "resnet18"
    assert absolute_name("mine") == str(tmp_path / "mine")
    assert absolute_name("hf:mine") == f"hf:{tmp_path / 'mine'}"
