"""What tracing found about networks, kept on disk, so that the next process need not trace again.

Tracing takes half a second, most of it to load the part of PyTorch that it needs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from torch import nn

from graft.backbones.anatomy import Anatomy
from graft.backbones.backbone import Stage
from graft.backbones.classifier_layer import ClassifierLayer
from graft.backbones.trace import named_tensors
from graft.errors import ResourceError
from graft.files import write_json

FORMAT = 1
"""Raised when the parts of a network are found by other rules."""

LIBRARIES = {
    "graft": "graftlearn",
    "torchvision": "torchvision",
    "timm": "timm",
    "hf": "transformers",
}
"""The distribution whose version says what a provider's networks are. Others' are not kept."""


def remembered(
    folder: Path | None,
    provider: str,
    facts: Mapping[str, Any],
    network: nn.Module,
    find: Callable[[], Anatomy],
) -> Anatomy:
    """Return the parts of a network as they were found before, or find them and keep them.

    What is kept counts only if its stages hold the tensors of this very network, each once.

    Args:
        folder: Where anatomies are kept; None keeps none.
        provider: Of the network, by name.
        facts: JSON values that determine the network and its input, beside the versions.
        network: As the provider builds it.
        find: Traces it.

    Example:
        >>> import tempfile
        >>> from graft.backbones.anatomy import dissect
        >>> from graft.data.preprocess import Preprocess
        >>> layers = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, 2), nn.Flatten(), nn.Linear(8, 5)
        >>> network = nn.Sequential(*layers)
        >>> where = Path(tempfile.mkdtemp()), "torchvision", {"name": "small"}, network
        >>> found = remembered(*where, lambda: dissect(network, Preprocess(5)))
        >>> remembered(*where, lambda: 1 / 0) == found
        True
    """
    if folder is None or provider not in LIBRARIES:
        return find()
    shapes = {name: list(tensor.shape) for name, tensor in named_tensors(network)}
    file = folder / f"{_key(provider, {**facts, 'shapes': shapes})}.outline.json"
    kept = _read(file)
    if kept is not None and _fits(kept, network):
        return kept
    found = find()
    with suppress(ResourceError, OSError):  # a full disk costs the next run half a second
        folder.mkdir(parents=True, exist_ok=True)
        write_json(file, asdict(found))
    return found


def _key(provider: str, facts: Mapping[str, Any]) -> str:
    packages = ("torch", "graftlearn", LIBRARIES[provider])
    versions = {name: _version(name) for name in packages}
    whole = {"format": FORMAT, "provider": provider, "versions": versions, **facts}
    return sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _read(file: Path) -> Anatomy | None:
    """Return what a file says; None where there is none, or it is damaged."""
    try:
        record = json.loads(file.read_bytes())
        layer = record["classifier"]
        return Anatomy(
            ClassifierLayer(**{**layer, "removed": tuple(layer["removed"])}),
            tuple(Stage.from_dict(stage) for stage in record["stages"]),
            tuple(record["input_layers"]),
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _fits(anatomy: Anatomy, network: nn.Module) -> bool:
    """Whether the stages hold every tensor once that the network has without its classifier."""
    held = [name for stage in anatomy.stages for name in (*stage.parameters, *stage.buffers)]
    gone = tuple(f"{path}." for path in anatomy.classifier.removed)
    there = [name for name, _ in named_tensors(network) if not name.startswith(gone)]
    return sorted(held) == sorted(there)
