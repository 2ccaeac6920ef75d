"""Norm layers are found by what they are, also those of other libraries."""

from __future__ import annotations

import torch
from torch import nn

from graft.zoo.description import find_norm_layers


class BiasFreeLayerNorm(nn.Module):
    """A norm as libraries write their own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))


class ConvNormAct(nn.Module):
    """A container that only has a norm in its name."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 1)
        self.bn = nn.BatchNorm2d(width)


class WeightNormConv(nn.Module):
    """A layer whose own tensors are not one number per channel."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 3, 1, 1))


def kinds(network: nn.Module) -> list[str]:
    return [kind for _, kind in find_norm_layers(network)]


def test_norms_of_torch_count_with_and_without_parameters():
    layers = [nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.LayerNorm(4, elementwise_affine=False)]
    assert kinds(nn.Sequential(*layers)) == ["BatchNorm2d", "GroupNorm", "LayerNorm"]


def test_a_norm_of_another_library_counts():
    assert kinds(nn.Sequential(BiasFreeLayerNorm(4))) == ["BiasFreeLayerNorm"]


def test_a_container_of_a_norm_does_not_count():
    assert list(find_norm_layers(nn.Sequential(ConvNormAct(4)))) == [("0.bn", "BatchNorm2d")]


def test_another_layer_with_norm_in_its_name_does_not_count():
    assert kinds(nn.Sequential(WeightNormConv())) == []


def test_a_network_without_norms_has_none():
    assert kinds(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())) == []
