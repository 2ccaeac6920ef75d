"""Promises that hold for every family of architectures; one body, many networks."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from torch import nn

from graft.backbones.backbone import Backbone
from graft.backbones.build import build
from graft.backbones.classifier_layer import remove
from graft.backbones.load import load_backbone
from graft.backbones.providers import find_provider

# One of each family, at an image size that is quick; the second entry counts the stages.
FAMILIES = {
    "alexnet": (64, 4),
    "convnext_tiny": (64, 5),
    "densenet121": (64, 5),
    "efficientnet_b0": (64, 6),
    "efficientnet_v2_s": (64, 6),
    "googlenet": (64, 5),
    "inception_v3": (128, 6),
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
}
QUICK = ("googlenet", "mnasnet0_5", "regnet_x_400mf", "regnet_y_400mf", "resnet50", "swin_t")
SMALL = ["mobilenet_v2", "mobilenet_v3_small", "resnet18", "shufflenet_v2_x0_5", "squeezenet1_1"]
TRAINED = [*SMALL, "convnext_tiny", "efficientnet_b0", "googlenet", "regnet_y_400mf", "swin_t"]
PROVED = [
    pytest.param(name, marks=() if name in (*SMALL, *QUICK) else pytest.mark.slow)
    for name in FAMILIES
]
ALL = sorted(set(find_provider("torchvision").names()) - set(FAMILIES))


def owner(name: str) -> str:
    return name.rpartition(".")[0]


@pytest.fixture(
    scope="module",
    params=[*FAMILIES, *(pytest.param(name, marks=pytest.mark.slow) for name in ALL)],
)
def backbone(request: pytest.FixtureRequest) -> Backbone:
    size = FAMILIES[request.param][0] if request.param in FAMILIES else None
    return load_backbone(request.param, meta=True, image_size=size)


@pytest.fixture
def module(backbone: Backbone) -> nn.Module:
    return copy.deepcopy(backbone.module)


def run(module: nn.Module, backbone: Backbone) -> torch.Tensor:
    size = backbone.preprocess.height
    with torch.device("meta"):
        return module(torch.empty(2, 3, size, size))


def test_stages_partition_parameters_and_buffers(backbone: Backbone) -> None:
    parameters = [name for stage in backbone.stages for name in stage.parameters]
    buffers = [name for stage in backbone.stages for name in stage.buffers]

    assert sorted(parameters) == sorted(name for name, _ in backbone.module.named_parameters())
    assert sorted(buffers) == sorted(name for name, _ in backbone.module.named_buffers())


def test_modules_of_a_stage_hold_nothing_of_another(backbone: Backbone) -> None:
    for stage in backbone.stages:
        own = {*stage.parameters, *stage.buffers}
        for path in stage.modules:
            module = backbone.module.get_submodule(path)
            assert {f"{path}.{name}" for name in module.state_dict(keep_vars=True)} <= own


def test_stages_run_in_their_order(backbone: Backbone, module: nn.Module) -> None:
    position = {
        owner(name): index
        for index, stage in enumerate(backbone.stages)
        for name in reversed(stage.parameters)
    }
    seen: list[int] = []
    for path, layer in module.named_modules():
        if path in position and not any(layer.children()):
            layer.register_forward_pre_hook(lambda *_, path=path: seen.append(position[path]))
    run(module, backbone)

    assert seen == sorted(seen)
    assert set(seen) == set(range(len(backbone.stages)))


def test_there_are_a_sensible_number_of_stages_in_named_order(backbone: Backbone) -> None:
    names = [stage.name for stage in backbone.stages]

    assert names == ["stem", *(f"stage{index}" for index in range(1, len(names)))]
    assert 4 <= len(names) <= 14
    if (known := backbone.name.partition(":")[2]) in FAMILIES:
        assert len(names) == FAMILIES[known][1]


def test_features_have_the_promised_width(backbone: Backbone) -> None:
    assert tuple(run(backbone.module, backbone).shape) == (2, backbone.width)


def test_a_stage_hands_on_what_the_next_receives(backbone: Backbone, module: nn.Module) -> None:
    received: dict[str, tuple[int, ...]] = {}

    def note(path: str, images: torch.Tensor | list[torch.Tensor]) -> None:
        first = images if isinstance(images, torch.Tensor) else images[0]
        received.setdefault(path, tuple(first.shape[1:]))

    for stage in backbone.stages[1:]:
        opening = module.get_submodule(stage.modules[0])
        opening.register_forward_pre_hook(lambda _, args, path=stage.name: note(path, args[0]))
    run(module, backbone)

    assert [stage.shape for stage in backbone.stages[:-1]] == list(received.values())


def test_a_record_survives_json(backbone: Backbone) -> None:
    record = json.loads(json.dumps(backbone.record()))

    assert record == json.loads(json.dumps(backbone.record()))
    assert [stage["name"] for stage in record["stages"]] == [s.name for s in backbone.stages]


@pytest.mark.parametrize("name", PROVED)
@torch.inference_mode()
def test_features_and_the_original_classifier_give_the_original_logits(name: str) -> None:
    size = FAMILIES[name][0]
    backbone = load_backbone(name, pretrained=False, image_size=size, seed=3)
    original = build(find_provider("torchvision"), backbone.architecture, seed=3).eval()
    classifier = original.get_submodule(backbone.removed[0])
    remove(original, backbone.removed[1:])  # an activation after it; dropout does nothing here
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))

    features = backbone.module(images)
    if isinstance(classifier, nn.Conv2d):
        features = features[:, :, None, None]
    logits = classifier(features).flatten(1)

    assert features.abs().max() > 0
    torch.testing.assert_close(logits, original(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
@torch.inference_mode()
def test_a_backbone_rebuilt_from_its_record_gives_the_same_features(name: str) -> None:
    backbone = load_backbone(name, pretrained=False, image_size=64, seed=1)
    record = json.loads(json.dumps(backbone.record()))

    rebuilt = Backbone.from_record(record, backbone.module.state_dict())

    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(rebuilt.module(images), backbone.module(images))
    assert (rebuilt.stages, rebuilt.preprocess) == (backbone.stages, backbone.preprocess)
    assert (rebuilt.provenance, rebuilt.removed) == (backbone.provenance, backbone.removed)


@pytest.mark.parametrize("name", TRAINED)
def test_freezing_below_a_stage_leaves_exactly_those_tensors_unchanged(name: str) -> None:
    backbone = load_backbone(name, pretrained=False, image_size=64)
    module = backbone.module
    for cut in {1, len(backbone.stages) // 2, len(backbone.stages) - 1}:
        frozen, trained = backbone.stages[:cut], backbone.stages[cut:]
        module.train().requires_grad_(True).zero_grad()
        for stage in frozen:
            for path in stage.modules:
                module.get_submodule(path).eval()
            for parameter in stage.parameters:
                module.get_parameter(parameter).requires_grad_(False)
        before = {key: value.clone() for key, value in module.state_dict().items()}
        optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
        module(torch.randn(4, 3, 64, 64)).square().mean().backward()
        optimizer.step()

        changed = {k for k, v in module.state_dict().items() if not torch.equal(v, before[k])}
        tensors_of = [{*stage.parameters, *stage.buffers} for stage in trained]
        assert not changed & {n for s in frozen for n in (*s.parameters, *s.buffers)}
        assert all(changed & tensors for tensors in tensors_of)
        reached = {n for n, p in module.named_parameters() if p.grad is not None}
        assert reached == {n for stage in trained for n in stage.parameters}
