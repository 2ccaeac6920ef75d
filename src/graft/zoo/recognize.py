"""Which network a weights file belongs to, where nobody said so."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from graft.backbones.providers import DEFAULT, Provider, find_provider
from graft.backbones.recognize import recognise
from graft.backbones.saved import BODY
from graft.backbones.weights import read_state
from graft.errors import BackboneError
from graft.zoo.catalogue import ZooEntry, all_entries

PROVIDERS = ("graft", "lite", DEFAULT, "timm")
"""Whose networks are compared, in this order."""

LARGEST_CLASSIFIER = 0.6
"""Share of a network's parameters that a file for few classes may lack."""

BYTES = 4  # per number of a published file


def recognise_weights(file: Path) -> str:
    """Return the backbone whose tensors a weights file holds, as `--backbone` takes it.

    Raises:
        BackboneError: The file cannot be read, or holds those of no known network.
    """
    state = read_state(file)
    if any(name.startswith(BODY) for name in state):
        raise BackboneError(
            f"'{file}' is a model that Graft saved, not the weights of a published network.",
            f"Write --backbone {file.parent}, and leave out --weights.",
        )
    numbers = sum(tensor.numel() for tensor in state.values())
    for owner in PROVIDERS:
        try:
            provider = narrowed(owner, numbers)
        except BackboneError:
            continue  # an extra that is not installed
        found = recognise(provider, state, file.stem)
        if found is not None:
            return f"{owner}:{found}" if owner == "timm" else found
    raise BackboneError(
        f"'{file.name}' has the tensors of no network that Graft knows by them.",
        "Name the network with --backbone as well.",
    )


def narrowed(name: str, numbers: int) -> Provider:
    """Return a provider that names only what may have so many numbers in its weights.

    To build every network in order to compare its tensors takes minutes.

    Raises:
        BackboneError: The provider cannot be imported.

    Example:
        >>> likely = narrowed("torchvision", 1_236_000).names()
        >>> "squeezenet1_1" in likely, "resnet152" in likely
        (True, False)
    """
    provider = find_provider(name)
    likely = [
        entry.name.partition(":")[2]
        for entry in all_entries()
        if entry.provider == name and 1 - LARGEST_CLASSIFIER < numbers / _numbers(entry) < 1.1
    ]
    alike = SimpleNamespace(
        names=provider.names if name == "graft" else lambda: likely,
        model_info=provider.model_info,
        build=provider.build,
        adapt=provider.adapt,
    )
    return cast("Provider", alike)


def _numbers(entry: ZooEntry) -> float:
    """Return how many numbers the published file holds, statistics and auxiliary parts included."""
    return max(entry.parameters, (entry.file_mb or 0) * 2**20 / BYTES)
