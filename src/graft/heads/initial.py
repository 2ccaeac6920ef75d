"""The random start of a head, which depends on its seed and on nothing that was drawn before."""

from __future__ import annotations

import torch
from torch import nn


def linear_layers(sizes: list[tuple[int, int]], seed: int) -> list[nn.Linear]:
    """Return linear layers with weights and biases from U(-1/sqrt(inputs), 1/sqrt(inputs)).

    Args:
        sizes: Inputs and outputs of each layer.
        seed: Of the generator from which all of them are drawn.

    Example:
        >>> first, second = linear_layers([(4, 2), (2, 2)], seed=0)
        >>> bool((first.weight.abs() <= 0.5).all())
        True
    """
    generator = torch.Generator().manual_seed(seed)
    layers = []
    with torch.random.fork_rng(devices=()):
        for inputs, outputs in sizes:
            layer = nn.Linear(inputs, outputs)
            for parameter in layer.parameters():
                nn.init.uniform_(parameter, -(inputs**-0.5), inputs**-0.5, generator=generator)
            layers.append(layer)
    return layers
