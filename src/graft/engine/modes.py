"""Networks run as they are when nothing is learned, and left as they came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def resting(module: nn.Module) -> Iterator[None]:
    """Put a module and all its parts into eval mode, and each back into its own afterwards.

    Example:
        >>> network = nn.Sequential(nn.Dropout()).train()
        >>> with resting(network):
        ...     network[0].training
        False
        >>> network[0].training
        True
    """
    training = {child: child.training for child in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for child, mode in training.items():
            child.training = mode
