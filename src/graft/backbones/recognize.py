"""Guesses which architecture a state dict belongs to."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from torch import Tensor

from graft.backbones.build import build_without_values
from graft.backbones.providers import Provider
from graft.backbones.weights import OPTIONAL

MOST = 80
"""Architectures to compare at most; some providers have a thousand."""


def recognise(provider: Provider, state: Mapping[str, Tensor], *hints: str) -> str | None:
    """Return the provider's architecture whose tensors a state dict has, None if there is none.

    Architectures are compared but for the number of classes, those named like a hint first.

    Args:
        provider: Whose architectures to try.
        state: Tensors by name.
        hints: Names that are likely to be close, such as that of the file.

    Example:
        >>> from graft.backbones.providers import find_provider
        >>> provider = find_provider("torchvision")
        >>> network = provider.build({"name": "squeezenet1_1", "options": {}})
        >>> recognise(provider, network.state_dict(), "squeeze.pth")
        'squeezenet1_1'
    """

    def distance(name: str) -> float:
        return -max(difflib.SequenceMatcher(None, hint, name).ratio() for hint in hints)

    for name in sorted(provider.names(), key=distance)[:MOST]:
        architecture = provider.model_info(name, None, None, None).architecture
        own = build_without_values(provider, architecture).state_dict()
        # Adapting takes time, and neither adds nor removes much.
        alike = abs(len(own) - len(state)) < 0.3 * len(own)
        if alike and _same(own, provider.adapt(state, architecture)):
            return name
    return None


def _same(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> bool:
    """Whether names and shapes agree, but for the number of classes of one layer."""
    names = {name for name in own if not name.endswith(OPTIONAL)}
    if names != {name for name in given if not name.endswith(OPTIONAL)}:
        return False
    others = [name for name in names if own[name].shape != given[name].shape]
    return len(others) <= 2 and all(own[n].shape[1:] == given[n].shape[1:] for n in others)
