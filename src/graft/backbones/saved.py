"""The backbone of a model that Graft saved, as a backbone for the next one.

A model folder may come from anybody, and a checksum shows only that nobody changed it by accident.
So nothing in it is believed: the network that it names is built without memory and compared with
the record and with the header of the weights, before a tensor is read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from graft.backbones.architecture import remove, set_channels
from graft.backbones.backbone import Backbone
from graft.backbones.build import build_skeleton
from graft.backbones.providers import Provider, available, find_provider
from graft.backbones.stages import find_shapes
from graft.backbones.trace import named_tensors, run, trace
from graft.backbones.weights import Header, compare_header, read_header
from graft.data.preprocess import Preprocess
from graft.errors import BackboneError, DataError
from graft.files import atomic_write, wrap_os_errors
from graft.model_folder import (
    DAMAGED,
    checked_backbone,
    checked_weights,
    model_folder,
    read_facts,
    write_facts,
)
from graft.plugins import BACKBONES
from graft.structured import shown

BODY, HEAD = "body.", "head."
"""What the tensors of a classifier's backbone and of its head begin with in its file."""

SPARE = 200
"""Tensors that a network may have beyond those in its file and some that it computes itself."""


def is_saved(name: str) -> bool:
    """Whether the name of a backbone is a folder that Graft wrote: a model or a run.

    Example:
        >>> is_saved("resnet18"), is_saved("./no-such-folder")
        (False, False)
    """
    folder = Path(name)
    if ":" in name or not folder.is_dir():
        return False
    return any((folder / file).is_file() for file in ("model.json", "model/model.json"))


def save_backbone(backbone: Backbone, folder: Path) -> Path:
    """Write a backbone without a head, in the format of a classifier's folder.

    `--backbone FOLDER` takes it; there is no head and there are no classes, so it predicts nothing.

    Raises:
        ResourceError: The disk is full or the folder cannot be written.
    """
    with wrap_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "model.safetensors"
    state = backbone.module.state_dict()
    with atomic_write(weights) as temporary:
        save_file(
            {BODY + name: tensor.contiguous().cpu() for name, tensor in state.items()}, temporary
        )
    return write_facts(folder, task=None, backbone=backbone.record(), head=None)


@dataclass(frozen=True)
class Saved:
    """A saved model whose record, header and network fit each other.

    Args:
        facts: What `model.json` holds.
        file: Its weights.
        names: What each tensor of the file is called in a `Model`.
        header: Number format and shape of every tensor, by its name in a `Model`.
    """

    facts: dict[str, Any]
    file: Path
    names: Mapping[str, str]
    header: Header

    def read(self, prefix: str = "") -> dict[str, Tensor]:
        """Return the tensors whose names in a `Model` begin with `prefix`."""
        with safe_open(self.file, framework="pt") as opened:
            return {
                name: opened.get_tensor(stored).reshape(self.header[name][1])
                for stored, name in self.names.items()
                if name.startswith(prefix)
            }


def read_saved(name: str | os.PathLike[str]) -> Saved:
    """Return a saved model, of which no tensor has been read.

    Raises:
        DataError: Its files are damaged, do not fit each other or the network that they name, or
            another version of Graft wrote them.
    """
    folder = model_folder(name)
    facts = read_facts(folder)
    owner = facts["backbone"]["name"].partition(":")[0]
    if owner not in available():
        raise DataError(
            f"The backbone of '{folder}' is {shown(facts['backbone']['name'])}, and no installed "
            f"package registers a provider {shown(owner)}.",
            f"Install or write one under the entry point group '{BACKBONES.group}', or load "
            "model.safetensors into the network itself.",
        )
    weights = folder / "model.safetensors"
    try:
        stored = read_header(weights)
    except BackboneError as error:
        checked_weights(folder, facts)
        raise DataError(f"The model in '{folder}' is damaged: {error.problem}", DAMAGED) from error
    try:
        provider, record = checked_record(facts["backbone"])
        names, header = _in_a_model(facts, stored, getattr(provider, "WRAPPED", ""))
        prove(provider, record, header)
    except (BackboneError, DataError) as error:
        if isinstance(error, BackboneError) and _is_missing_extra(facts["backbone"]["name"]):
            raise
        raise DataError(f"The model in '{folder}' is damaged: {error.problem}", DAMAGED) from error
    return Saved(facts, checked_weights(folder, facts), names, header)


def has_own_names(facts: Mapping[str, Any]) -> bool:
    """Whether a model's tensors are stored under the names that its architecture gives them.

    So are those of a linear head, which is the architecture's own classifier layer then. Other
    heads are none of the architecture, and their models are stored as `body.` and `head.`.
    """
    return facts["head"] is not None and facts["head"]["kind"] == "linear" and facts["format"] > 2


def _in_a_model(
    facts: Mapping[str, Any], stored: Header, wrapped: str
) -> tuple[dict[str, str], dict[str, tuple[str, tuple[int, ...]]]]:
    """Return what the tensors of a file are called in a `Model`, and its header in these names."""
    if not has_own_names(facts):
        return {name: name for name in stored}, dict(stored)
    prefix, layer = f"{wrapped}." if wrapped else "", f"{facts['backbone']['removed'][0]}."
    names, header = {}, {}
    for name, (kind, shape) in stored.items():
        full = prefix + name
        inside = full.startswith(layer)
        names[name] = f"{HEAD}linear.{full.removeprefix(layer)}" if inside else BODY + full
        # A classifier that is a 1 x 1 convolution is a linear layer here.
        header[names[name]] = kind, shape[:2] if inside and shape[2:] == (1, 1) else shape
    return names, header


def checked_record(record: Mapping[str, Any]) -> tuple[Provider, dict[str, Any]]:
    """Return the provider of a backbone's record and the record as plain data.

    Raises:
        DataError: It is not what `Backbone.record` returns, or its provider would not have written
            its architecture.
        BackboneError: The provider is not installed.
    """
    plain = checked_backbone(record)
    owner, _, name = plain["name"].partition(":")
    if owner not in available() or not name:
        raise DataError(f"{shown(plain['name'])} is no backbone of a known provider.", DAMAGED)
    if plain["provenance"]["provider"] != owner:
        raise DataError(f"Its weights are said to be of another provider than '{owner}'.", DAMAGED)
    provider = find_provider(owner)
    check = getattr(provider, "check", None)
    if check is None:
        raise DataError(
            f"The provider '{owner}' has no function `check`, without which what a file says of "
            "its networks is not safe to build.",
            "Update the package that the provider comes from.",
        )
    try:
        check(name, plain["architecture"], Preprocess.from_dict(plain["preprocess"]))
    except ValueError as error:
        raise DataError(
            f"Its architecture is not one that Graft writes: {error}.", DAMAGED
        ) from error
    return provider, plain


def prove(provider: Provider, record: Mapping[str, Any], header: Header) -> None:
    """Compare a record and the header of a weights file with the network that they promise.

    Args:
        provider: Builds the network.
        record: Of the backbone, as `checked_record` returned it.
        header: Number format and shape of every tensor in the file.

    Raises:
        DataError: They do not fit each other.
        BackboneError: The network cannot be built, or is too large.
    """
    network = build_skeleton(provider, record["architecture"], 3 * len(header) + SPARE).eval()
    preprocess = Preprocess.from_dict(record["preprocess"])
    _take_off(network, record, preprocess.channels)
    _compare_stages(network, record)
    compare_header(header, network, BODY)
    surplus = next((name for name in header if not name.startswith((BODY, HEAD))), None)
    if surplus is not None:
        raise DataError(f"The tensor {shown(surplus)} is not part of the network.")
    _compare_shapes(network, record, preprocess)


def _take_off(network: nn.Module, record: Mapping[str, Any], channels: int) -> None:
    modules = dict(network.named_modules())
    for path in (*record["removed"], *record["input_layers"]):
        if path not in modules:
            raise DataError(f"The network has no layer {shown(path)}.")
    remove(network, record["removed"])
    for path in record["input_layers"]:
        if not isinstance(modules[path], nn.Conv2d):
            raise DataError(f"The layer {shown(path)} is no convolution that reads images.")
    if channels != 3:
        set_channels(network, record["input_layers"], channels)


def _compare_stages(network: nn.Module, record: Mapping[str, Any]) -> None:
    held = sorted(
        name for stage in record["stages"] for name in (*stage["parameters"], *stage["buffers"])
    )
    if held != sorted(name for name, _ in named_tensors(network)):
        raise DataError("The stages do not hold every tensor of the network once.")
    modules = dict(network.named_modules())
    for stage in record["stages"]:
        for path in stage["modules"]:
            if path not in modules:
                raise DataError(f"The network has no module {shown(path)}.")


def _compare_shapes(network: nn.Module, record: Mapping[str, Any], preprocess: Preprocess) -> None:
    """Raise where the network's output is not what the record describes."""
    size, channels = (preprocess.height, preprocess.width), preprocess.channels
    stages = record["stages"]
    try:
        seen = trace(network, size, channels)
        shapes = find_shapes(seen, [stage["modules"] for stage in stages])
        features = run(seen.network, size, channels)
    except Exception as error:  # networks raise assertions and plain errors alike
        reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
        raise DataError(f"The network does not run on its images: {reason}.") from error
    for stage, shape in zip(stages, shapes, strict=True):
        if stage["shape"] != list(shape):
            raise DataError(
                f"The stage '{stage['name']}' gives {list(shape)}, not {shown(stage['shape'])}."
            )
    if not isinstance(features, Tensor) or features.shape[1:] != (record["width"],):
        raise DataError(f"The network does not give {record['width']} features per image.")


def _is_missing_extra(name: str) -> bool:
    owner = name.partition(":")[0]
    try:
        find_provider(owner)
    except BackboneError:
        return owner in available()
    return False
