"""The folder in which a model is saved: `model.json` and `model.safetensors`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from graft.errors import DataError
from graft.files import sha256, write_json

FORMAT = 1
"""Version of the model folder's format that this release writes."""


def model_folder(path: str | os.PathLike[str]) -> Path:
    """Return the folder that holds `model.json`: the given one or its `model/`.

    Raises:
        DataError: Neither does.
    """
    given = Path(path)
    for folder in (given, given / "model"):
        if (folder / "model.json").is_file():
            return folder
    if (given / "run.json").is_file():
        raise DataError(
            f"The run '{path}' has no model yet: it ended before its first result.",
            f"Continue it with: graft fit --resume --out {path}",
        )
    raise DataError(
        f"'{path}' is neither a model folder nor a run: it has no model.json.",
        "Give the --out of a `graft fit`, or the model folder inside it.",
    )


def write_facts(
    folder: Path,
    *,
    classes: Sequence[str],
    backbone: Mapping[str, Any],
    head: Mapping[str, Any] | None,
) -> Path:
    """Write `model.json` beside the `model.safetensors` that is there already.

    Args:
        folder: The model folder.
        classes: Class names in the order of the logits; none where there is no head.
        backbone: `Backbone.record()`.
        head: `Head.record()`; None for a backbone alone.

    Returns:
        The folder.
    """
    write_json(
        folder / "model.json",
        {
            "format": FORMAT,
            "graft": version("graftlearn"),
            "sha256": sha256(folder / "model.safetensors"),
            "classes": list(classes),
            "backbone": backbone,
            "head": head,
        },
    )
    return folder


def read_facts(folder: Path) -> dict[str, Any]:
    """Return what a folder's `model.json` holds.

    Raises:
        DataError: It is damaged, or a newer Graft wrote it.
    """
    path = folder / "model.json"
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        written = facts["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"'{path}' is damaged: {type(error).__name__}: {error}.",
            "Copy the whole folder again, or repeat the run.",
        ) from error
    if not isinstance(written, int) or written > FORMAT:
        raise DataError(
            f"'{path}' has model format {written!r}, written by Graft {facts.get('graft')}; "
            f"this Graft reads up to {FORMAT}.",
            "Update Graft: pip install --upgrade graftlearn.",
        )
    missing = {"sha256", "classes", "backbone", "head"} - set(facts)
    if missing:
        raise DataError(
            f"'{path}' is damaged: it lacks {', '.join(sorted(missing))}.",
            "Copy the whole folder again, or repeat the run.",
        )
    return dict(facts)


def checked_weights(folder: Path, facts: Mapping[str, Any]) -> Path:
    """Return the weights file of a model folder, whose hash `model.json` promises.

    Raises:
        DataError: The file is missing or another one.
    """
    weights = folder / "model.safetensors"
    if not weights.is_file() or sha256(weights) != facts["sha256"]:
        state = "is missing" if not weights.is_file() else "does not match model.json"
        raise DataError(
            f"The model in '{folder}' is damaged: model.safetensors {state}.",
            "Copy the whole folder again, or repeat the run.",
        )
    return weights
