"""The rules by which any network is divided, each on a network made to need it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from graft.backbones.load import load_backbone
from graft.backbones.stages import find_stages
from graft.backbones.trace import trace
from graft.errors import BackboneError


def modules_of(network: nn.Module, size: int = 32, without: tuple[str, ...] = ()) -> list[str]:
    stages = find_stages(trace(network, (size, size)), without)
    return [" ".join(stage.modules) for stage in stages]


def conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1)


@pytest.mark.parametrize(
    ("name", "openings"),
    [
        ("mobilenet_v2", "features.0 features.1 features.2 features.4 features.7 features.14"),
        ("resnet50", "conv1 layer1 layer2 layer3 layer4"),
        ("squeezenet1_1", "features.0 features.3 features.6 features.9"),
        ("convnext_tiny", "features.0 features.1 features.2 features.4 features.6"),
        ("efficientnet_b0", "features.0 features.1 features.2 features.3 features.4 features.6"),
        ("shufflenet_v2_x1_0", "conv1 stage2 stage3 stage4"),
        (
            "vgg16",
            "features.0 features.2 features.5 features.10 features.17 features.24 classifier",
        ),
        (
            "inception_v3",
            "Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_3b_1x1 Mixed_5b Mixed_6a Mixed_7a",
        ),
        (
            "densenet121",
            "features.conv0 features.denseblock1 features.denseblock2 features.denseblock3 "
            "features.denseblock4",
        ),
    ],
)
def test_known_networks_divide_where_one_would_divide_them(name: str, openings: str) -> None:
    backbone = load_backbone(name, meta=True)

    assert " ".join(stage.modules[0] for stage in backbone.stages) == openings


def test_a_vision_transformer_divides_by_block_with_tokens_in_the_stem() -> None:
    stages = load_backbone("vit_b_16", meta=True).stages

    assert {"class_token", "encoder.pos_embedding"} < set(stages[0].parameters)
    assert [stage.modules[0] for stage in stages[1:]] == [
        f"encoder.layers.encoder_layer_{index}" for index in range(12)
    ]
    assert stages[-1].modules[-1] == "encoder.ln"
    assert stages[0].shape == (197, 768)


def test_order_is_that_of_execution_not_of_declaration() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = conv(8, 8, 2)
            self.middle = conv(8, 8, 2)
            self.first = conv(3, 8)

        def forward(self, images: Tensor) -> Tensor:
            return self.last(self.middle(self.first(images)))

    assert modules_of(Backwards()) == ["first", "middle", "last"]


def test_a_block_that_strides_inside_begins_the_stage_as_a_whole() -> None:
    block = nn.Sequential(conv(8, 8), conv(8, 16, 2), conv(16, 16))
    network = nn.Sequential(conv(3, 8), conv(8, 8), block, conv(16, 16, 2))

    assert modules_of(network) == ["0", "1", "2", "3"]


def test_a_module_that_only_ends_on_the_coarser_grid_is_divided() -> None:
    stage = nn.Sequential(conv(8, 32), conv(32, 32), conv(32, 16, 2))
    network = nn.Sequential(conv(3, 8), stage, conv(16, 16), conv(16, 16, 2))

    assert modules_of(network) == ["0", "1.0 1.1", "1.2 2", "3"]


def test_parallel_branches_stay_together() -> None:
    class Reduction(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.short = conv(8, 8, 2)
            self.long = nn.Sequential(conv(8, 64), conv(64, 64), conv(64, 8, 2))

        def forward(self, images: Tensor) -> Tensor:
            return torch.cat([self.short(images), self.long(images)], 1)

    network = nn.Sequential(conv(3, 8), conv(8, 8), Reduction(), conv(16, 16, 2))

    assert modules_of(network) == ["0", "1", "2", "3"]


def test_squeeze_and_excitation_is_no_coarser_grid() -> None:
    class Excited(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = conv(8, 8, 2)
            self.gate = nn.Conv2d(8, 8, 1)

        def forward(self, images: Tensor) -> Tensor:
            images = self.conv(images)
            return images * self.gate(images.mean((2, 3), keepdim=True))

    network = nn.Sequential(conv(3, 8), Excited(), Excited(), Excited())

    assert modules_of(network) == ["0", "1", "2", "3"]


def test_many_equal_blocks_are_taken_several_to_a_stage() -> None:
    network = nn.Sequential()
    network.add_module("patch_embed", conv(3, 8, 4))
    network.add_module("blocks", nn.Sequential(*(nn.Conv2d(8, 8, 1) for _ in range(30))))
    network.add_module("norm", nn.GroupNorm(1, 8))

    stages = find_stages(trace(network, (32, 32)))

    assert len(stages) == 11
    assert stages[1].modules == ("blocks.0", "blocks.1", "blocks.2")
    assert stages[-1].modules[-1] == "norm"


def test_a_named_stem_is_one_stage_however_often_it_strides() -> None:
    stem = nn.Sequential(conv(3, 8, 2), conv(8, 8, 2), conv(8, 8, 2))
    network = nn.Sequential()
    network.add_module("stem", stem)
    network.add_module("body", nn.Sequential(conv(8, 8), conv(8, 8, 2), conv(8, 8, 2)))

    assert modules_of(network) == ["stem", "body.0", "body.1", "body.2"]


def test_a_closing_norm_joins_the_last_stage() -> None:
    pool = nn.AdaptiveAvgPool2d(1)
    network = nn.Sequential(conv(3, 8), conv(8, 8, 2), conv(8, 8, 2), pool, nn.GroupNorm(1, 8))

    assert modules_of(network) == ["0", "1", "2 3 4"]


def test_channels_last_activations_are_measured_like_channels_first() -> None:
    class ChannelsLast(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Linear(3, 8)
            self.merge1 = nn.Linear(32, 8)
            self.merge2 = nn.Linear(32, 8)

        def forward(self, images: Tensor) -> Tensor:
            tokens = self.embed(images.permute(0, 2, 3, 1))
            for merge in (self.merge1, self.merge2):
                batch, height, width, channels = tokens.shape
                halved = tokens.reshape(batch, height // 2, 2, width // 2, 2, channels)
                merged = halved.permute(0, 1, 3, 2, 4, 5).flatten(3)
                tokens = merge(merged)
            return tokens

    assert modules_of(ChannelsLast()) == ["embed", "merge1", "merge2"]


def test_weights_used_without_calling_their_module_have_a_stage() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix = nn.Linear(8, 8)

        def forward(self, images: Tensor) -> Tensor:
            tokens = images.permute(0, 2, 3, 1)
            mixed = functional.linear(tokens, self.mix.weight, self.mix.bias)
            return mixed.permute(0, 3, 1, 2)

    stages = find_stages(trace(nn.Sequential(conv(3, 8), Attention(), conv(8, 8, 2)), (8, 8)))

    assert stages[1].parameters == ("1.mix.weight", "1.mix.bias")


def test_an_unused_token_goes_with_the_module_that_owns_it() -> None:
    network = nn.Sequential(conv(3, 8), conv(8, 8, 2), conv(8, 8, 2))
    network[1].register_parameter("mask_token", nn.Parameter(torch.zeros(1, 8)))

    assert "1.mask_token" in find_stages(trace(network, (8, 8)))[1].parameters


def test_a_layer_that_never_runs_is_an_error_and_not_a_guess() -> None:
    network = nn.Sequential(conv(3, 8), conv(8, 8, 2))
    network[0].spare = nn.Linear(4, 4)

    with pytest.raises(BackboneError, match=r"2 parameters .* never run, '0\.spare\.weight'"):
        find_stages(trace(network, (8, 8)))


def test_tracing_leaves_the_network_as_it_was() -> None:
    network = nn.Sequential(conv(3, 8), nn.BatchNorm2d(8)).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}

    trace(network, (8, 8))

    assert network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


def test_a_layer_that_two_stages_share_is_refused() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 3, padding=1)
            twice = nn.Conv2d(4, 4, 3, padding=1)
            self.fine = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), twice)
            self.coarse = nn.Sequential(nn.Conv2d(4, 4, 2, 2), twice)
            self.last = nn.Conv2d(4, 4, 2, 2)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.last(self.coarse(self.fine(self.stem(images))))

    with pytest.raises(BackboneError, match=r"'coarse\.1\.weight' is shared between stages"):
        find_stages(trace(Shared(), (16, 16)))
