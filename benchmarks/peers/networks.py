"""The same network and the same weights for every peer."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import mobilenet_v2


def pretrained(weights: Path) -> nn.Module:
    """Return torchvision's MobileNetV2 with its ImageNet classifier."""
    network = mobilenet_v2(weights=None)
    network.load_state_dict(load_file(weights))
    return network


def state_in_order(weights: Path) -> list[tuple[str, Tensor]]:
    """Return the weights in the order in which the network declares them."""
    state = load_file(weights)
    return [(name, state[name]) for name in mobilenet_v2(weights=None).state_dict()]
