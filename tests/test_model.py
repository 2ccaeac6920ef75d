"""Promises of a classifier: saved, loaded, and asked, it stays the same."""

from __future__ import annotations

import pytest
import timm
import torch
import torchvision
import transformers
from safetensors.torch import load_file
from torch import nn

from graft.backbones.load import load_backbone
from graft.errors import BackboneError, RecipeError
from graft.heads import build_head
from graft.heads.linear import LinearHead
from graft.model import Classifier
from tests.backbones import hugging_face
from tests.workflows.conftest import SMALL, photos

__all__ = ["photos"]


# MNASNet refuses a state dict without torch's version marks, which safetensors does not carry.
@pytest.mark.parametrize("name", ["mnasnet0_5", "squeezenet1_1"])
def test_a_saved_classifier_gives_identical_logits(name, tmp_path):
    backbone = load_backbone(name, pretrained=False, image_size=32)
    classifier = Classifier(backbone, LinearHead(backbone.width, 2), ("a", "b"))
    classifier.to(memory_format=torch.channels_last).eval().save(tmp_path)
    images = torch.rand(4, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        assert torch.equal(Classifier.load(tmp_path)(images), classifier(images))


def test_a_network_with_version_marks_is_trained_and_resumed(photos, tmp_path):
    import graft

    options = {**SMALL, "backbone": "mnasnet0_5", "strategy": "scratch", "epochs": 2}
    run = graft.fit(photos, out=tmp_path / "r", **options)
    assert graft.load(run.run).predict(photos / "val/red/00.png")
    assert graft.evaluate(run.run, photos, split="val")["accuracy"] == run.result["val_accuracy"]


def _classifier(name, head="linear", **options):
    backbone = load_backbone(name, pretrained=False, seed=1, **options)
    head = build_head({"kind": head, "width": backbone.width, "classes": 2}, seed=2)
    return Classifier(backbone, head, ("a", "b")).eval()


def _in_torchvision(name):
    return torchvision.models.get_model(name, num_classes=2)


def _in_timm(name):
    return timm.create_model(name.removeprefix("timm:"), num_classes=2)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("resnet18", _in_torchvision),
        ("mobilenet_v2", _in_torchvision),
        ("vit_b_32", _in_torchvision),
        ("timm:test_vit", _in_timm),
        ("timm:test_convnext", _in_timm),
    ],
)
def test_a_trained_network_and_its_file_go_back_into_their_library(name, make, tmp_path):
    classifier = _classifier(name)
    size = classifier.backbone.preprocess.height
    images = torch.randn(2, 3, size, size)
    plain, from_file = make(name).eval(), make(name).eval()
    plain.load_state_dict(classifier.module.state_dict())
    classifier.save(tmp_path)
    from_file.load_state_dict(load_file(tmp_path / "model.safetensors"))
    with torch.no_grad():
        expected = classifier(images)
        for network in (plain, from_file, classifier.module):
            torch.testing.assert_close(network(images), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_a_trained_network_goes_back_into_transformers(kind, tmp_path):
    classifier = _classifier(str(hugging_face.write(tmp_path / "source", kind)))
    images = torch.randn(2, 3, 64, 64)
    own = classifier.module
    plain = transformers.AutoModelForImageClassification.from_config(own.config).eval()
    plain.load_state_dict(load_file(classifier.save(tmp_path / "model") / "model.safetensors"))
    assert own.config.num_labels == 2
    with torch.no_grad():
        expected = classifier(images)
        for network in (plain, own):
            torch.testing.assert_close(network(images).logits, expected, atol=1e-5, rtol=0)


def test_the_plain_network_of_squeezenet_gives_logits_below_zero_too():
    classifier, images = _classifier("squeezenet1_1", image_size=32), torch.randn(4, 3, 32, 32)
    nn.init.constant_(classifier.head.linear.bias, -1)
    with torch.no_grad():
        assert (classifier(images) < 0).any()
        torch.testing.assert_close(classifier.module(images), classifier(images))


def test_the_plain_network_is_a_copy_and_holds_no_class_of_ours():
    classifier = _classifier("resnet18")
    plain = classifier.module
    nn.init.zeros_(plain.fc.weight)
    nn.init.zeros_(plain.conv1.weight)
    assert classifier.head.linear.weight.any()
    assert classifier.body.conv1.weight.any()
    assert not [each for each in plain.modules() if type(each).__module__.startswith("graft")]


def test_a_head_that_is_no_layer_of_the_architecture_has_no_plain_network(tmp_path):
    classifier = _classifier("resnet18", head="cosine", image_size=32)
    with pytest.raises(RecipeError, match="CosineHead is not the classifier layer of"):
        _ = classifier.module
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        same = Classifier.load(classifier.save(tmp_path))(images)
        torch.testing.assert_close(same, classifier(images))


@pytest.mark.parametrize(
    "freeze",
    [
        lambda classifier: classifier.freeze_to("stage3"),
        lambda classifier: classifier.freeze_to("layer3"),
        lambda classifier: classifier.unfreeze_from("stage4"),
        lambda classifier: classifier.unfreeze_from("layer4"),
        lambda classifier: classifier.freeze_to("layer3.1.conv2"),
        lambda classifier: classifier.unfreeze_from("layer4.1"),
    ],
)
def test_what_a_loop_of_ones_own_freezes_stays_as_it_is(freeze):
    classifier = _classifier("resnet18", image_size=32)
    freeze(classifier)
    classifier.train()
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    optimizer = torch.optim.SGD(classifier.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        classifier(torch.randn(4, 3, 32, 32)).square().sum().backward()
        optimizer.step()
    after = classifier.state_dict()
    moved = {name for name in before if not after[name].equal(before[name])}
    assert {name.split(".")[1] for name in moved} == {"layer4", "linear"}
    assert "body.layer4.1.bn2.running_mean" in moved


def test_thawing_further_lets_batch_norm_move_again():
    classifier = _classifier("resnet18", image_size=32).train()
    classifier.freeze_to("fc")
    assert not any(parameter.requires_grad for parameter in classifier.parameters())
    assert not classifier.head.training
    classifier.unfreeze_from("stem")
    assert all(parameter.requires_grad for parameter in classifier.parameters())
    assert classifier.body.bn1.training
    assert classifier.head.training


def test_a_stage_that_is_not_there_is_named():
    with pytest.raises(BackboneError, match="no stage 'stage9'"):
        _classifier("resnet18", image_size=32).freeze_to("stage9")


def test_what_a_killed_process_left_in_a_model_folder_goes_with_the_next_save(tmp_path):
    backbone = load_backbone("graft-small", pretrained=False, image_size=32)
    classifier = Classifier(backbone, LinearHead(backbone.width, 2), ("a", "b"))
    left = (".model.safetensors.0123456789ab.tmp", ".tmpAbC12x", ".model.json.0123456789ab.tmp")
    for folder in ("alone", "among"):
        (tmp_path / folder).mkdir()
        for name in left:
            (tmp_path / folder / name).write_bytes(b"half")
    (tmp_path / "among" / "letter.txt").touch()
    for folder in ("alone", "among"):
        classifier.save(tmp_path / folder)

    own = {"model.json", "model.safetensors"}
    assert {path.name for path in (tmp_path / "alone").iterdir()} == own
    assert {path.name for path in (tmp_path / "among").iterdir()} == {*own, *left, "letter.txt"}
