"""Promises that hold for every family of architectures; one body, many networks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from tests.backbones import hugging_face, proof
from torch import nn

from graft.backbones.architecture import remove
from graft.backbones.backbone import Backbone
from graft.backbones.build import build
from graft.backbones.load import load_backbone
from graft.backbones.providers import find_provider, split_name

# One of each family, at an image size that is quick; the second entry counts the stages.
FAMILIES = {
    "alexnet": (64, 4),
    "convnext_tiny": (64, 5),
    "densenet121": (64, 5),
    "efficientnet_b0": (64, 6),
    "efficientnet_v2_s": (64, 6),
    "googlenet": (64, 5),
    "inception_v3": (128, 6),
    "lite0": (64, 6),
    "maxvit_t": (224, 6),
    "mnasnet0_5": (64, 6),
    "mobilenet_v2": (64, 6),
    "mobilenet_v3_small": (64, 6),
    "regnet_x_400mf": (64, 5),
    "regnet_y_400mf": (64, 5),
    "resnet18": (64, 5),
    "resnet50": (64, 5),
    "resnext50_32x4d": (64, 5),
    "shufflenet_v2_x0_5": (64, 4),
    "squeezenet1_1": (64, 4),
    "swin_t": (64, 5),
    "swin_v2_t": (64, 5),
    "vgg11_bn": (64, 6),
    "vit_b_32": (64, 13),
    "wide_resnet50_2": (64, 5),
    "timm:cait_xxs24_224": (64, 13),
    "timm:coatnet_pico_rw_224": (64, 5),
    "timm:convnext_atto": (64, 5),
    "timm:deit_tiny_patch16_224": (64, 13),
    "timm:densenet121": (64, 5),
    "timm:efficientnet_b0": (64, 6),
    "timm:efficientnetv2_rw_t": (64, 6),
    "timm:eva02_tiny_patch14_224": (56, 13),
    "timm:inception_v3": (128, 6),
    "timm:maxvit_pico_rw_256": (64, 5),
    "timm:mixer_s32_224": (64, 9),
    "timm:mnasnet_small": (64, 6),
    "timm:mobilenetv2_035": (64, 6),
    "timm:mobilenetv3_small_050": (64, 6),
    "timm:nf_regnet_b0": (64, 5),
    "timm:nfnet_l0": (64, 5),
    "timm:regnetx_002": (64, 5),
    "timm:resnet18": (64, 5),
    "timm:resnext50_32x4d": (64, 5),
    "timm:swin_s3_tiny_224": (224, 5),
    "timm:vgg11": (64, 6),
    "timm:vit_tiny_patch16_224": (64, 13),
    "timm:wide_resnet50_2": (64, 5),
    **{f"hf:{kind}": (None, None) for kind in hugging_face.CONFIGS},
}
# Those that are held to the promises about numbers in the quick tests.
QUICK = {
    "googlenet",
    "lite0",
    "mobilenet_v2",
    "resnet18",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "timm:convnext_atto",
    "timm:mobilenetv3_small_050",
    "timm:regnetx_002",
    "timm:vit_tiny_patch16_224",
    *(f"hf:{kind}" for kind in hugging_face.CONFIGS),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which tiny models in Hugging Face format are written when they are needed."""
    return tmp_path_factory.mktemp("hugging-face")


def load(name: str, folders: Path, *, meta: bool) -> Backbone:
    provider, kind, _ = split_name(name)
    if provider == "hf":
        folder = folders / kind
        name = os.fspath(folder if folder.is_dir() else hugging_face.write(folder, kind))
    size = FAMILIES[f"hf:{kind}" if provider == "hf" else name][0]
    torch.manual_seed(0)
    return load_backbone(name, meta=meta, pretrained=meta, image_size=size)


@pytest.fixture(scope="module", params=FAMILIES)
def seen(request: pytest.FixtureRequest, folders: Path) -> Backbone:
    """A backbone without values."""
    return load(request.param, folders, meta=True)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in FAMILIES
    ],
)
def real(request: pytest.FixtureRequest, folders: Path) -> Backbone:
    """A backbone with random weights."""
    return load(request.param, folders, meta=False)


@pytest.mark.parametrize("promise", proof.LOOKS, ids=lambda promise: promise.__name__)
def test_a_family_keeps_its_promises(seen: Backbone, promise: proof.Callable) -> None:
    promise(seen)


@pytest.mark.parametrize("promise", proof.RUNS, ids=lambda promise: promise.__name__)
def test_a_family_keeps_its_promises_about_numbers(real: Backbone, promise: proof.Callable) -> None:
    promise(real)


def test_a_saved_classifier_gives_identical_logits(real: Backbone, tmp_path: Path) -> None:
    proof.saved_and_loaded_gives_identical_logits(real, tmp_path)


def test_a_family_has_the_stages_that_it_had(
    seen: Backbone, request: pytest.FixtureRequest
) -> None:
    _, count = FAMILIES[request.node.callspec.params["seen"]]

    assert count in (None, len(seen.stages))


def test_a_stage_hands_on_what_the_next_receives(seen: Backbone) -> None:
    received: dict[str, tuple[int, ...]] = {}

    def note(path: str, given: tuple) -> None:
        first = given[0] if isinstance(given[0], torch.Tensor) else given[0][0]
        received.setdefault(path, tuple(first.shape[1:]))

    hooks = []
    for stage in seen.stages[1:]:
        opening = seen.module.get_submodule(stage.modules[0])
        while isinstance(opening, nn.ModuleList):
            opening = opening[0]
        hooks.append(
            opening.register_forward_pre_hook(lambda _, args, path=stage.name: note(path, args))
        )
    with torch.device("meta"):
        seen.module(proof.images_for(seen).to("meta"))
    for hook in hooks:
        hook.remove()

    assert [stage.shape for stage in seen.stages[:-1]] == list(received.values())


@pytest.mark.parametrize("name", [name for name in FAMILIES if ":" not in name and name in QUICK])
@torch.inference_mode()
def test_features_and_the_original_classifier_give_the_original_logits(
    name: str, folders: Path
) -> None:
    backbone = load_backbone(name, pretrained=False, image_size=64, seed=3)
    provider = find_provider(split_name(name)[0])
    original = build(provider, backbone.architecture, seed=3).eval()
    classifier = original.get_submodule(backbone.removed[0])
    remove(original, backbone.removed[1:])  # an activation after it; dropout does nothing here
    images = proof.images_for(backbone)

    features = backbone.module(images)
    if isinstance(classifier, nn.Conv2d):
        features = features[:, :, None, None]
    logits = classifier(features).flatten(1)

    assert features.abs().max() > 0
    torch.testing.assert_close(logits, original(images), rtol=1e-4, atol=1e-5)
