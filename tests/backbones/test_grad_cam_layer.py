"""The layer to look at is the last one whose positions matter, and its gradients are not zero."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.vision_transformer import VisionTransformer

from graft.errors import BackboneError
from graft.zoo.description import find_grad_cam_layer


def tiny_vit() -> nn.Module:
    """A vision transformer without its classifier: the features are the class token's."""
    network = VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32
    )
    network.heads = nn.Identity()
    return network.eval()


def gradient_at(network: nn.Module, path: str) -> Tensor:
    """The gradient of the features at the output of a layer."""
    seen: list[Tensor] = []

    def keep(_module: nn.Module, _args: tuple[Tensor, ...], output: Tensor) -> None:
        output.retain_grad()
        seen.append(output)

    network.get_submodule(path).register_forward_hook(keep)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network(torch.randn(1, 3, 32, 32)).square().sum().backward()
    return seen[0].grad


def test_a_vision_transformers_patches_still_matter_at_its_layer():
    network = tiny_vit()
    found = find_grad_cam_layer(network, (32, 32))
    assert found.path == "encoder.layers.encoder_layer_1.ln_1"
    assert found.shape == (17, 16)
    assert gradient_at(network, found.path)[:, 1:].abs().max() > 0


def test_behind_the_last_attention_the_patches_of_a_vision_transformer_are_not_read():
    assert gradient_at(tiny_vit(), "encoder")[:, 1:].abs().max() == 0


class MeanPooled(nn.Module):
    """Tokens that are averaged: all of them matter to the end."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.last = nn.LayerNorm(8)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        read = self.norm(tokens)
        tokens = tokens + self.attention(read, read, read, need_weights=False)[0]
        return self.last(tokens).mean(1)


def test_averaged_tokens_are_looked_at_behind_the_last_layer():
    assert find_grad_cam_layer(MeanPooled(), (16, 16)).path == "last"


def test_a_convolutional_network_is_looked_at_before_its_pooling():
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 16, 3, 2), nn.BatchNorm2d(16)]
    network = nn.Sequential(*layers, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    found = find_grad_cam_layer(network, (11, 11))
    assert (found.path, found.shape) == ("3", (16, 4, 4))


def test_a_network_without_positions_is_refused():
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 4))
    with pytest.raises(BackboneError, match="positions"):
        find_grad_cam_layer(network, (2, 2))


def test_the_network_is_left_as_it_is():
    network = tiny_vit()
    find_grad_cam_layer(network, (32, 32))
    assert next(network.parameters()).device.type == "cpu"
    assert not any(module._forward_hooks for module in network.modules())
