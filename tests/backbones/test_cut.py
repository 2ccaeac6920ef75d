"""A backbone divided at the beginning of a stage."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from graft.backbones.backbone import Backbone, Provenance, Stage
from graft.backbones.cut import Cut
from graft.backbones.load import load_backbone
from graft.data.preprocess import Preprocess
from graft.errors import BackboneError


class Crossed(nn.Module):
    """Has a skip connection, a constant, in-place changes and sequence-first layout at its cut."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.second = nn.Linear(4, 4)
        self.third = nn.Linear(4, 4)
        self.table = nn.Parameter(torch.rand(4))
        self.calls = 0

    def forward(self, images: Tensor) -> Tensor:
        tokens = images.flatten(2).permute(2, 0, 1)  # positions first
        scale = self.table.exp()
        skip = self.first(tokens)
        deep = self.second(skip)
        deep += 1
        deep.mul_(scale)
        self.calls += 1
        return (self.third(deep) + skip * scale).mean(0)


@pytest.fixture
def crossed() -> Backbone:
    torch.manual_seed(0)

    def stage(name: str, module: str, *more: str) -> Stage:
        return Stage(name, (module,), (f"{module}.weight", f"{module}.bias", *more), (), (4,))

    return Backbone(
        name="mine:crossed",
        module=Crossed().eval(),
        stages=(
            stage("stem", "first", "table"),
            stage("stage1", "second"),
            stage("stage2", "third"),
        ),
        width=4,
        preprocess=Preprocess(2),
        head_dropout=0.0,
        provenance=Provenance("mine"),
        architecture={},
        removed=(),
    )


def test_all_that_the_part_above_looks_at_crosses(crossed: Backbone) -> None:
    images = torch.rand(5, 3, 2, 2)
    whole = crossed.module(images)

    assert Cut(crossed, "stem").shapes == ((4, 3),)
    for stage, count in (("stem", 1), ("stage1", 1), ("stage2", 2)):
        cut = Cut(crossed, stage)
        kept = cut.prefix(images)
        assert [tuple(tensor.shape) for tensor in kept] == [(5, *shape) for shape in cut.shapes]
        assert len(kept) == count
        assert torch.equal(cut.suffix(kept), whole)


def test_the_part_below_is_not_computed_again(crossed: Backbone) -> None:
    cut = Cut(crossed, "stage2")
    kept = cut.prefix(torch.rand(2, 3, 2, 2))
    seen: list[str] = []
    for name in ("first", "second", "third"):
        layer = crossed.module.get_submodule(name)
        layer.weight.register_hook(lambda _, name=name: seen.append(name))

    cut.suffix(kept).sum().backward()

    assert seen == ["third"]
    assert crossed.module.first.weight.grad is None


def test_rows_may_be_mixed_and_their_number_may_change(crossed: Backbone) -> None:
    images, cut = torch.rand(6, 3, 2, 2), Cut(crossed, "stage2")
    kept = cut.prefix(images)

    features = cut.suffix([tensor[[4, 1]] for tensor in kept])

    torch.testing.assert_close(features, crossed.module(images[[4, 1]]))


def test_the_network_is_the_same_afterwards(crossed: Backbone) -> None:
    cut, module = Cut(crossed, "stage1"), crossed.module.train()
    cut.suffix(cut.prefix(torch.rand(2, 3, 2, 2)))

    assert module.training
    assert not any("forward" in vars(child) for child in module.modules())


def test_training_above_a_cut_gives_the_gradients_of_the_whole() -> None:
    backbone = load_backbone("resnet18", pretrained=False, image_size=32)
    images, cut = torch.rand(4, 3, 32, 32), Cut(backbone, "stage4")
    layer = backbone.module.layer4[0].conv1.weight
    backbone.module(images).square().sum().backward()
    expected, layer.grad = layer.grad, None

    cut.suffix(cut.prefix(images)).square().sum().backward()

    assert torch.equal(layer.grad, expected)
    assert cut.prefix(images)[0].requires_grad is False


def test_a_network_that_looks_at_values_is_refused(crossed: Backbone) -> None:
    module = crossed.module
    plain = module.forward
    module.forward = lambda images: plain(images) if images.sum() > 0 else plain(-images)

    with pytest.raises(BackboneError, match="cannot be cut at 'stage1'"):
        Cut(crossed, "stage1")


def test_an_unknown_stage_is_named(crossed: Backbone) -> None:
    with pytest.raises(BackboneError, match="no stage 'stage9'"):
        Cut(crossed, "stage9")
