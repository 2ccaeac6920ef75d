"""BatchNorm folded into the layers before it."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from graft.backbones.cut import Cut
from graft.backbones.load import load_backbone
from graft.inference import Folded, fold, folding
from graft.inference.pairs import Pair, is_normalisation
from tests.backbones import hugging_face
from tests.inference.networks import BLOCKS, WIDTH, build, conv, norm, randomise

FAMILIES = {
    "densenet121": 64,
    "efficientnet_b0": 64,
    "googlenet": 64,
    "mnasnet0_5": 64,
    "mobilenet_v2": 64,
    "regnet_y_400mf": 64,
    "resnet18": 64,
    "shufflenet_v2_x0_5": 64,
    "vgg11_bn": 64,
    "timm:efficientnet_b0": 64,
    "timm:mobilenetv3_small_050": 64,
    "timm:regnetx_002": 64,
    "hf:efficientnet": None,
    "hf:mobilenet_v2": None,
    "hf:resnet": None,
}
"""Networks with BatchNorm, and an image size that is quick."""

KEEPS = {"densenet121": 62}
"""Normalisations that stand before their layer, and stay."""


def images(count: int = 4, side: int = 8, channels: int = WIDTH) -> Tensor:
    made = torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(1))
    return made.contiguous(memory_format=torch.channels_last)


def close(exact: Tensor, quick: Tensor) -> bool:
    """Whether the largest difference is at most 1e-4 of the largest number, or both are 0."""
    return bool((exact - quick).abs().max() <= 1e-4 * exact.abs().max())


@torch.no_grad()
def agrees(network: nn.Module, folded: Folded, batch: Tensor) -> bool:
    return close(copy.deepcopy(network).eval()(batch), folded.module(batch))


@pytest.mark.numeric
@pytest.mark.parametrize("block", BLOCKS)
def test_what_can_be_folded_is_and_nothing_else(block: str) -> None:
    network, count = build([block])

    folded = fold(network, images())

    assert folded.refused is None
    assert folded.folded == count
    assert agrees(network, folded, images())


@pytest.mark.numeric
@given(
    st.lists(st.sampled_from(sorted(BLOCKS)), min_size=1, max_size=5),
    st.integers(0, 1000),
    st.booleans(),
)
@settings(deadline=None, max_examples=40)
def test_any_network_folded_is_equal(blocks: list[str], seed: int, training: bool) -> None:
    network, count = build(blocks, seed)
    network.train(training)

    folded = fold(network, images())

    assert (folded.refused, folded.folded) == (None, count)
    assert agrees(network, folded, images(3, 6))


@pytest.mark.numeric
@given(
    st.integers(1, 3),
    st.booleans(),
    st.booleans(),
    st.floats(0, 1),
    st.integers(0, 1000),
)
@settings(deadline=None)
def test_folded_weights_do_what_both_layers_did(
    dimensions: int, bias: bool, affine: bool, eps: float, seed: int
) -> None:
    torch.manual_seed(seed)
    layers = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
    norms = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
    layer = layers[dimensions](2, 6, 2, groups=2, bias=bias).double()
    normalise = norms[dimensions](6, eps=eps, affine=affine).double().eval()
    randomise(normalise, seed)
    batch = torch.randn(3, 2, *[4] * dimensions, dtype=torch.float64)
    expected = normalise(layer(batch))

    weight, shift = folding.folded_weights(layer, normalise)
    layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(shift)

    torch.testing.assert_close(layer(batch), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.numeric
def test_a_linear_layer_takes_its_normalisation_too() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4 * WIDTH, 5), nn.BatchNorm1d(5), nn.Tanh())
    randomise(network)

    folded = fold(network, images(side=2))

    assert folded.folded == 1
    assert agrees(network, folded, images(side=2))


@pytest.mark.numeric
def test_a_linear_layer_over_tokens_does_not() -> None:
    # Its outputs lie along the last dimension, and the normalisation's channels along the second.
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.norm = nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH)

        def forward(self, batch: Tensor) -> Tensor:
            return self.norm(self.layer(batch.flatten(2))).flatten(1)

    network = randomise(Tokens())

    folded = fold(network, images(side=2))

    assert (folded.refused, folded.folded) == (None, 0)


@pytest.mark.parametrize("training", [True, False])
def test_the_original_is_left_as_it_is(training: bool) -> None:
    network, _ = build(list(BLOCKS))
    network.train(training)
    network[0].eval()
    modes = [module.training for module in network.modules()]
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    modules, state = list(network.modules()), torch.get_rng_state()

    folded = fold(network, images())
    folded.module(images())

    assert [module.training for module in network.modules()] == modes
    assert all(new is old for new, old in zip(network.modules(), modules, strict=True))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in modules)
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(network.state_dict()[name], before[name]) for name in before)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module.training for module in folded.module.modules())


def test_only_folded_layers_take_memory() -> None:
    network, _ = build(["plain", "norm first"])
    originals = {id(parameter) for parameter in network.parameters()}

    folded = fold(network, images())

    new = {name for name, tensor in folded.module.named_parameters() if id(tensor) not in originals}
    assert new == {"0.conv.weight", "0.conv.bias"}


def test_the_paths_stay_as_they_were() -> None:
    network, _ = build(["plain", "with activation"])

    folded = fold(network, images()).module

    assert isinstance(folded.get_submodule("0.norm"), nn.Identity)
    assert isinstance(folded.get_submodule("1.1.act"), nn.Hardswish)
    assert [path for path, _ in folded.named_modules()] == [
        path for path, _ in network.named_modules()
    ]


def test_only_what_lies_within_is_folded() -> None:
    network = nn.Sequential(*(build(["plain"])[0] for _ in range(12)))

    folded = fold(network, images(), within=["1", "10.0"]).module

    left = [path for path, each in folded.named_modules() if is_normalisation(each)]
    assert left == [f"{index}.0.norm" for index in range(12) if index not in (1, 10)]


def test_a_pair_across_the_boundary_is_left_alone() -> None:
    network = randomise(nn.Sequential(conv(), norm(), nn.ReLU()))

    assert fold(network, images(), within=["0"]).folded == 0
    assert fold(network, images(), within=["0", "1"]).folded == 1


def test_a_network_with_hooks_is_refused() -> None:
    network, _ = build(["plain"])
    seen: list[int] = []
    network.register_forward_hook(lambda *_: seen.append(1))

    folded = fold(network, images())

    assert folded.module is network
    assert folded.refused == "BatchNorm is not folded: '' has a hook, which would see other numbers"
    assert seen == []


def without_eps(layer: nn.Module, norm: nn.Module) -> tuple[Tensor, Tensor]:
    careless = copy.deepcopy(norm)
    careless.eps = 0.0
    return folding_weights(layer, careless)


folding_weights = folding.folded_weights
DEFECTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "eps forgotten": lambda patch: patch.setattr(folding, "folded_weights", without_eps),
    "a second user overlooked": lambda patch: patch.setattr(
        folding, "find_pairs", lambda network, batch: ([Pair("conv", "norm")], network(batch))
    ),
}


@pytest.mark.numeric
@pytest.mark.parametrize("defect", DEFECTS)
def test_a_copy_that_differs_is_not_used(defect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = build(["plain" if defect == "eps forgotten" else "output used twice"])[0][0]
    DEFECTS[defect](monkeypatch)

    folded = fold(network, images())

    assert folded.module is network
    assert folded.folded == 0
    assert "its numbers differ by" in folded.refused


class Wayward(nn.Module):
    """Takes another way on dark images, which noise is not."""

    def __init__(self, dark: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.norm, self.dark = conv(), norm(), dark

    def forward(self, batch: Tensor) -> Tensor:
        made = self.conv(batch)
        normal = self.norm(made)
        return normal if batch.std() > 0.5 else self.dark(made, normal)


@pytest.mark.numeric
def test_the_proof_is_on_the_real_images() -> None:
    network = randomise(Wayward(lambda made, normal: normal + made))

    folded = fold(network, images())

    assert folded.module is network
    assert "its numbers differ by" in folded.refused


def test_what_fails_on_noise_is_refused_whatever_the_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = randomise(Wayward(lambda made, normal: torch.ones_like(made)))
    monkeypatch.setattr(folding, "folded_weights", without_eps)

    assert "its numbers differ by" in fold(network, images()).refused


def test_what_the_network_returns_is_in_use() -> None:
    class Unused(nn.Sequential):
        def forward(self, batch: Tensor) -> Tensor:
            made = self[0](batch)
            self[1](made)
            return made

    folded = fold(randomise(Unused(conv(), norm())), images())

    assert (folded.refused, folded.folded) == (None, 0)


def test_a_normalisation_that_cannot_rest_is_refused_and_learns_nothing() -> None:
    class Restless(nn.BatchNorm2d):
        def train(self, mode: bool = True) -> Restless:
            return super().train(True)

    network = nn.Sequential(conv(), Restless(WIDTH))

    folded = fold(network, images())

    assert folded.refused == "BatchNorm is not folded: '1' stays in training mode"
    assert network[1].num_batches_tracked == 0


def test_numbers_that_are_not_finite_prove_nothing() -> None:
    network, _ = build(["plain", "norm first", "plain"])
    network[1][0].bias.data[0] = torch.nan

    folded = fold(network, images())

    assert folded.module is network
    assert "its numbers differ by nan" in folded.refused


def test_a_network_that_asks_its_normalisation_is_refused_in_words() -> None:
    class Asks(nn.Sequential):
        def forward(self, batch: Tensor) -> Tensor:
            return super().forward(batch) * self[1].momentum

    folded = fold(randomise(Asks(conv(), norm())), images())

    assert "'Identity' object has no attribute 'momentum'" in folded.refused


def test_a_network_without_batch_norm_is_only_put_into_eval_mode() -> None:
    network = nn.Sequential(conv(), nn.Dropout()).train()

    folded = fold(network, images())

    assert (folded.folded, folded.refused) == (0, None)
    assert not folded.module[1].training
    assert network[1].training
    assert folded.module[0].weight is network[0].weight


def test_reduced_precision_around_it_does_not_disturb_the_proof() -> None:
    network, _ = build(["plain"])

    with torch.autocast("cpu", torch.bfloat16):
        folded = fold(network, images())

    assert (folded.refused, folded.folded) == (None, 1)


def test_a_copy_made_in_inference_mode_may_be_used_outside() -> None:
    network, _ = build(["plain", "norm first"])
    with torch.inference_mode():
        folded = fold(network, images())

    assert not any(tensor.is_inference() for tensor in folded.module.state_dict().values())
    assert folded.module.to("meta")(images().to("meta")).is_meta


def load(name: str, folder: Path) -> tuple[nn.Module, Tensor]:
    size = FAMILIES[name]
    if name.startswith("hf:"):
        name = os.fspath(hugging_face.write(folder / "hf", name[3:]))
    backbone = load_backbone(name, pretrained=False, image_size=size, seed=1)
    side = backbone.preprocess.height
    return randomise(backbone.module), images(2, side, backbone.preprocess.channels)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_folded_and_equal(name: str, tmp_path: Path) -> None:
    network, batch = load(name, tmp_path)
    norms = sum(map(is_normalisation, network.modules()))

    folded = fold(network, batch)

    assert folded.refused is None
    assert folded.folded == norms - KEEPS.get(name, 0)
    assert agrees(network, folded, batch.flip(3))


@pytest.mark.parametrize("name", ["resnet18", "timm:mobilenetv3_small_050"])
def test_the_part_below_a_cut_is_folded_and_the_part_above_fits(name: str) -> None:
    backbone = load_backbone(name, pretrained=False, image_size=64)
    randomise(backbone.module)
    stage = backbone.stages[-2].name
    batch = images(2, 64, 3)
    below = [path for each in backbone.stages[:-2] for path in each.modules]

    folded = fold(backbone.module, batch, within=below)
    copied = copy.copy(backbone)
    copied.module = folded.module
    rows = Cut(copied, stage).prefix(batch)

    assert folded.folded > 0
    assert not any(is_normalisation(folded.module.get_submodule(path)) for path in below)
    assert any(is_normalisation(each) for each in folded.module.modules())
    with torch.no_grad():
        whole = copy.deepcopy(backbone.module).eval()(batch)
        backbone.module.eval()
        assert close(whole, Cut(backbone, stage).suffix(rows))
