"""What is promised of every backbone, as functions that raise an AssertionError where it fails."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from graft.backbones.backbone import Backbone, Stage
from graft.backbones.cut import Cut
from graft.heads import build_head
from graft.model import Classifier

CLASSES = ("ants", "bees", "wasps")


def owner(name: str) -> str:
    return name.rpartition(".")[0]


def images_for(backbone: Backbone, count: int = 2) -> Tensor:
    size = backbone.preprocess.height, backbone.preprocess.width
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, backbone.preprocess.channels, *size, generator=generator)


def tensors_of(stage: Stage) -> set[str]:
    return {*stage.parameters, *stage.buffers}


def graft(backbone: Backbone, kind: str = "linear") -> Classifier:
    record = {"kind": kind, "width": backbone.width, "classes": len(CLASSES)}
    return Classifier(backbone, build_head(record), CLASSES)


def freeze_below(backbone: Backbone, cut: int) -> None:
    """Let the stages from `cut` on train and no other, as a phase does."""
    backbone.module.eval().requires_grad_(True)
    for index, stage in enumerate(backbone.stages):
        for path in stage.modules:
            backbone.module.get_submodule(path).train(index >= cut)
        for name in stage.parameters:
            backbone.module.get_parameter(name).requires_grad_(index >= cut)


def some_stages(backbone: Backbone) -> list[int]:
    last = len(backbone.stages) - 1
    return sorted({1, (last + 1) // 2, last})


def stages_partition_parameters_and_buffers(backbone: Backbone) -> None:
    parameters = [name for stage in backbone.stages for name in stage.parameters]
    buffers = [name for stage in backbone.stages for name in stage.buffers]

    assert sorted(parameters) == sorted(name for name, _ in backbone.module.named_parameters())
    assert sorted(buffers) == sorted(name for name, _ in backbone.module.named_buffers())


def modules_of_a_stage_hold_nothing_of_another(backbone: Backbone) -> None:
    for stage in backbone.stages:
        own = {id(backbone.module.get_parameter(name)) for name in stage.parameters}
        for path in stage.modules:
            module = backbone.module.get_submodule(path)
            assert {id(parameter) for parameter in module.parameters()} <= own, path


def stages_run_in_their_order(backbone: Backbone) -> None:
    """The first tensor of each stage is used after the first of the stage before it."""
    index_of = {
        owner(name): index
        for index, stage in enumerate(backbone.stages)
        for name in reversed(stage.parameters)
    }
    twin = copy.deepcopy(backbone.module).to("meta").eval()
    seen: list[int] = []
    for path, layer in twin.named_modules():
        if path in index_of and not any(layer.children()):
            layer.register_forward_pre_hook(lambda *_, path=path: seen.append(index_of[path]))
    with torch.device("meta"), torch.no_grad():
        twin(images_for(backbone).to("meta"))
    firsts = [seen.index(index) for index in sorted(set(seen))]

    assert firsts == sorted(firsts)


def stages_are_few_and_named_in_order(backbone: Backbone) -> None:
    names = [stage.name for stage in backbone.stages]

    assert names == ["stem", *(f"stage{index}" for index in range(1, len(names)))]
    assert 3 <= len(names) <= 14, f"{len(names)} stages"


def features_have_the_promised_width(backbone: Backbone) -> None:
    images = images_for(backbone).to(next(backbone.module.parameters()).device)
    with torch.no_grad():
        assert tuple(backbone.module(images).shape) == (2, backbone.width)


def a_record_survives_json(backbone: Backbone) -> None:
    record = json.loads(json.dumps(backbone.record()))

    assert record == json.loads(json.dumps(backbone.record()))
    assert [stage["name"] for stage in record["stages"]] == [s.name for s in backbone.stages]


def training_above_a_stage_changes_exactly_what_is_above(backbone: Backbone) -> None:
    """Gradients reach exactly the stages above; nothing below moves, buffers included."""
    start = copy.deepcopy(backbone.module.state_dict())
    for cut in some_stages(backbone):
        backbone.module.load_state_dict(start)
        classifier = graft(backbone)
        freeze_below(backbone, cut)
        backbone.module.zero_grad(set_to_none=True)
        optimizer = torch.optim.SGD(classifier.parameters(), lr=0.01)
        logits = classifier(images_for(backbone, 4))
        nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0])).backward()
        optimizer.step()

        state = backbone.module.state_dict()
        changed = {name for name, value in state.items() if not torch.equal(value, start[name])}
        reached = {n for n, p in backbone.module.named_parameters() if p.grad is not None}
        below, above = backbone.stages[:cut], backbone.stages[cut:]
        assert not changed & {name for stage in below for name in tensors_of(stage)}
        assert not reached & {name for stage in below for name in stage.parameters}
        for stage in above:
            assert reached & set(stage.parameters), f"no gradient reaches {stage.name}"
    backbone.module.load_state_dict(start)
    backbone.module.eval().requires_grad_(True).zero_grad(set_to_none=True)


@torch.no_grad()
def a_new_head_changes_the_head_alone(backbone: Backbone) -> None:
    images = images_for(backbone)
    before = backbone.module.eval()(images)
    state = {name: value.clone() for name, value in backbone.module.state_dict().items()}

    for kind in ("linear", "mlp", "cosine"):
        logits = graft(backbone, kind).eval()(images)
        assert tuple(logits.shape) == (2, len(CLASSES))

    assert torch.equal(backbone.module(images), before)
    assert all(torch.equal(value, state[n]) for n, value in backbone.module.state_dict().items())


@torch.no_grad()
def saved_and_loaded_gives_identical_logits(backbone: Backbone, folder: Path) -> None:
    classifier = graft(backbone).to(memory_format=torch.channels_last).eval()
    images = images_for(backbone).to(memory_format=torch.channels_last)

    loaded = Classifier.load(classifier.save(folder))

    assert torch.equal(loaded(images), classifier(images))


@torch.no_grad()
def prefix_and_suffix_equal_the_whole(backbone: Backbone) -> None:
    images = images_for(backbone)
    whole = backbone.module.eval()(images)
    for index in some_stages(backbone):
        cut = Cut(backbone, backbone.stages[index].name)
        kept = cut.prefix(images)
        assert [tuple(tensor.shape) for tensor in kept] == [(2, *shape) for shape in cut.shapes]
        torch.testing.assert_close(cut.suffix(kept), whole, rtol=1e-5, atol=1e-6)
        # Rows may be stored and come back in any company.
        swapped = cut.suffix([tensor.flip(0) for tensor in kept]).flip(0)
        torch.testing.assert_close(swapped, whole, rtol=1e-3, atol=1e-4)


LOOKS: tuple[Callable[[Backbone], None], ...] = (
    stages_partition_parameters_and_buffers,
    modules_of_a_stage_hold_nothing_of_another,
    stages_run_in_their_order,
    stages_are_few_and_named_in_order,
    a_record_survives_json,
    features_have_the_promised_width,
)
"""Promises that a backbone without values can be held to."""

RUNS: tuple[Callable[[Backbone], None], ...] = (
    a_new_head_changes_the_head_alone,
    prefix_and_suffix_equal_the_whole,
    training_above_a_stage_changes_exactly_what_is_above,
)
"""Promises about numbers, which take time."""
