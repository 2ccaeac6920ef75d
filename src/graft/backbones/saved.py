"""The trunk of a model that Graft saved, as a backbone for the next one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from graft.backbones.backbone import Backbone
from graft.backbones.weights import read_state
from graft.files import refusals_are_named, replacing
from graft.model_folder import checked_weights, model_folder, read_facts, write_facts

TRUNK = "trunk."
"""What the tensors of a classifier's backbone begin with in its file."""


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
    with refusals_are_named(folder):
        folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "model.safetensors"
    state = backbone.module.state_dict()
    with replacing(weights) as temporary:
        save_file(
            {TRUNK + name: tensor.contiguous().cpu() for name, tensor in state.items()}, temporary
        )
    return write_facts(folder, classes=(), backbone=backbone.record(), head=None)


def read_saved(name: str) -> tuple[Mapping[str, Any], Path]:
    """Return the record of a saved classifier's backbone, and the file with its weights.

    Raises:
        DataError: The model is damaged, or a newer Graft wrote it.
    """
    folder = model_folder(name)
    facts = read_facts(folder)
    return facts["backbone"], checked_weights(folder, facts)


def read_trunk(file: Path) -> dict[str, Tensor]:
    """Return the tensors of the backbone in a classifier's weights file."""
    return {
        key.removeprefix(TRUNK): tensor
        for key, tensor in read_state(file).items()
        if key.startswith(TRUNK)
    }
