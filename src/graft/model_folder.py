"""The folder in which a model is saved: `model.json` and `model.safetensors`.

A model folder is data: it may come from anybody. `ModelRecord` says by name, type and range what
Graft itself writes into `model.json`, and nothing else is read. What is in `architecture` belongs
to the provider, whose `check` decides; heads and tasks are read by the schema beside each of them;
`backbones.saved` compares the rest with the network.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from hashlib import sha256 as hash_of
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from graft.errors import DataError, RecipeError
from graft.files import readable_path, sha256, write_json
from graft.plugins import HEADS, TASKS, Registry, Share, Strict, Width
from graft.structured import canonical, parse_json, read_text, shown

FORMAT = 3
"""Version of the model folder's format that this release writes."""

READ = (2, 3)
"""Versions that it reads. In the second every tensor's name begins with `body.` or `head.`."""

LARGEST_SIDE = 4096
"""Of an image in pixels, as in the recipe."""

LONGEST_MESSAGE = 400
"""Characters of why a value was refused."""

DAMAGED = "Copy the whole folder again, or repeat the run."


def _text(value: Any) -> Any:
    """Take a string; pydantic's own refuse names of files that are not valid text."""
    if not isinstance(value, str) or len(value) > 4096:
        raise ValueError("it should be a string of at most 4,096 characters")
    return value


def _class_name(value: Any) -> Any:
    if not _text(value):
        raise ValueError("a class needs a name")
    return value


Line = Annotated[Any, AfterValidator(_text)]
ClassName = Annotated[Any, AfterValidator(_class_name)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
TensorPath = Annotated[str, Field(pattern=r"^[^\s.]+(\.[^\s.]+)*$", max_length=500)]
Side = Annotated[int, Field(ge=1, le=LARGEST_SIDE)]
Size = Annotated[int, Field(ge=1, le=1 << 31)]
Level = Annotated[float, Field(ge=-1e4, le=1e4)]
Spread = Annotated[float, Field(ge=1e-6, le=1e4)]


class StageRecord(Strict):
    """What `Stage.to_dict` returns."""

    name: Annotated[str, Field(pattern=r"^(stem|stage[1-9][0-9]{0,3})$")]
    modules: Annotated[list[TensorPath], Field(min_length=1, max_length=20_000)]
    parameters: Annotated[list[TensorPath], Field(max_length=20_000)]
    buffers: Annotated[list[TensorPath], Field(max_length=20_000)]
    shape: Annotated[list[Size], Field(min_length=1, max_length=4)]


class PreprocessRecord(Strict):
    """What `Preprocess.to_dict` returns."""

    image_size: Annotated[list[Side], Field(min_length=2, max_length=2)]
    resize: Side | None
    crop: Literal["center", "squash", "letterbox"]
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"]
    mean: Annotated[list[Level], Field(max_length=64)]
    std: Annotated[list[Spread], Field(max_length=64)]
    channels: Annotated[int, Field(ge=1, le=64)]

    @model_validator(mode="after")
    def _one_of_each(self) -> PreprocessRecord:
        if {len(self.mean), len(self.std)} != {self.channels}:
            raise ValueError(
                f"{self.channels} channels have {len(self.mean)} means and {len(self.std)} "
                "deviations"
            )
        return self


class ProvenanceRecord(Strict):
    """What a `Provenance` holds."""

    provider: Annotated[str, Field(pattern=r"^[\w-]{1,64}$")]
    weights: Line | None
    source: Line | None
    sha256: Hash | None
    licence: Line | None
    top1: Annotated[float, Field(ge=0, le=100)] | None


class BackboneRecord(Strict):
    """What `Backbone.record` returns; the provider checks the architecture."""

    name: Line
    architecture: dict[str, Any]
    removed: Annotated[list[TensorPath], Field(min_length=1, max_length=100)]
    input_layers: Annotated[list[TensorPath], Field(max_length=100)]
    stages: Annotated[list[StageRecord], Field(min_length=1, max_length=1000)]
    width: Width
    preprocess: PreprocessRecord
    head_dropout: Share
    provenance: ProvenanceRecord

    @model_validator(mode="after")
    def _in_order(self) -> BackboneRecord:
        expected = ["stem", *(f"stage{number}" for number in range(1, len(self.stages)))]
        if [stage.name for stage in self.stages] != expected:
            raise ValueError("the stages are not stem, stage1, stage2, ... in this order")
        return self


class ClassificationRecord(Strict):
    """What `Classification.record` returns."""

    name: Literal["classification"]
    classes: Annotated[list[ClassName], Field(min_length=1, max_length=1 << 20)]

    @property
    def outputs(self) -> int:
        """What the head gives for each image."""
        return len(self.classes)

    @model_validator(mode="after")
    def _each_once(self) -> ClassificationRecord:
        twice = len(self.classes) - len(set(self.classes))
        if twice:
            raise ValueError(f"{twice} of the {len(self.classes)} class names are there twice")
        return self


class ModelRecord(Strict):
    """What `model.json` holds.

    Args:
        format: One of `READ`.
        graft: Version of Graft that wrote it.
        sha256: Of `model.safetensors`.
        task: `Task.record()`; None for a backbone alone.
        backbone: `Backbone.record()`.
        head: `Head.record()`; None for a backbone alone.
    """

    format: Literal[2, 3]
    graft: Annotated[str, Field(pattern=r"^[\w.+!-]{1,64}$")]
    sha256: Hash
    task: dict[str, Any] | None
    backbone: BackboneRecord
    head: dict[str, Any] | None

    @model_validator(mode="after")
    def _together(self) -> ModelRecord:
        if (self.head is None) != (self.task is None):
            raise ValueError("a head and a task belong together, and one of them is missing")
        return self


def _check_fit(task: Any, head: Any, backbone: Mapping[str, Any], what: str, remedy: str) -> None:
    """Refuse a task, a head and a backbone that do not go together."""
    reason = ""
    if task.outputs != head.classes:
        reason = f"the task has {task.outputs} outputs and the head {head.classes}"
    elif head.width != backbone["width"]:
        reason = f"the head takes {head.width} features, and the backbone gives {backbone['width']}"
    if reason:
        raise DataError(f"{what} is not what Graft writes: {reason}.", remedy)


def model_folder(path: str | os.PathLike[str]) -> Path:
    """Return the folder that holds `model.json`: the given one or its `model/`.

    Raises:
        DataError: Neither does.
    """
    given = readable_path(path)
    for folder in (given, given / "model"):
        if (folder / "model.json").is_file():
            return folder
    if (given / "run.json").is_file():
        raise DataError(
            f"The run '{path}' has no model yet: it ended before its first result.",
            f"Continue it with: graft fit --resume --out {shlex.quote(str(path))}",
        )
    raise DataError(
        f"'{path}' is neither a model folder nor a run: it has no model.json.",
        "Give the --out of a `graft fit`, or the model folder inside it.",
    )


def write_facts(
    folder: Path,
    *,
    task: Mapping[str, Any] | None,
    backbone: Mapping[str, Any],
    head: Mapping[str, Any] | None,
) -> Path:
    """Write `model.json` beside the `model.safetensors` that is there already.

    Args:
        folder: The model folder.
        task: `Task.record()`; None for a backbone alone.
        backbone: `Backbone.record()`.
        head: `Head.record()`; None for a backbone alone.

    Returns:
        The folder.

    Raises:
        DataError: It would not be a record that `read_facts` takes, such as one with two classes of
            the same name.
    """
    facts = {
        "format": FORMAT,
        "graft": version("graftlearn"),
        "sha256": sha256(folder / "model.safetensors"),
        "task": task,
        "backbone": backbone,
        "head": head,
    }
    plain = json.loads(canonical(facts))  # as it will be read: tuples are lists
    _check(
        plain, f"the model for '{folder}'", "Correct the model before it is saved.", writing=True
    )
    write_json(folder / "model.json", {**plain, "checksum": checksum(plain)})
    return folder


def read_facts(folder: Path) -> dict[str, Any]:
    """Return what a folder's `model.json` holds, as far as it can be checked without the network.

    Raises:
        DataError: It is damaged, was edited, or another version of Graft wrote it.
    """
    path = folder / "model.json"
    try:
        facts = parse_json(read_text(path))
    except (OSError, ValueError) as error:
        raise DataError(f"'{path}' is damaged: {error}.", DAMAGED) from error
    if not isinstance(facts, dict):
        raise DataError(f"'{path}' is damaged: it is not a JSON object.", DAMAGED)
    _refuse_other_formats(path, facts)
    promised = facts.pop("checksum", None)
    _check(facts, f"'{path}'", DAMAGED)
    if promised != checksum(facts):
        raise DataError(
            f"'{path}' is damaged or was edited: its content does not have the checksum in it.",
            DAMAGED,
        )
    return facts


def checksum(facts: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a model's facts, whatever the order and spacing of their JSON.

    Example:
        >>> checksum({"a": 1, "b": [2]}) == checksum({"b": [2], "a": 1})
        True
    """
    return hash_of(canonical(facts).encode()).hexdigest()


def checked_weights(folder: Path, facts: Mapping[str, Any]) -> Path:
    """Return the weights file of a model folder, whose hash `model.json` promises.

    Raises:
        DataError: The file is missing or another one.
    """
    weights = folder / "model.safetensors"
    if not weights.is_file() or sha256(weights) != facts["sha256"]:
        state = "is missing" if not weights.is_file() else "does not match model.json"
        raise DataError(f"The model in '{folder}' is damaged: model.safetensors {state}.", DAMAGED)
    return weights


def _refuse_other_formats(path: Path, facts: Mapping[str, Any]) -> None:
    written, by = facts.get("format"), shown(facts.get("graft"), 40)
    if type(written) is not int or written < 1:
        raise DataError(
            f"'{path}' is damaged: its format is {shown(written)}, not {FORMAT}.", DAMAGED
        )
    if written > FORMAT:
        raise DataError(
            f"'{path}' has model format {shown(written)}, written by Graft {by}; this Graft reads "
            f"{FORMAT}.",
            "Update Graft: pip install --upgrade graftlearn.",
        )
    if written < min(READ):
        raise DataError(
            f"'{path}' has model format {written}, which no release wrote and which has no "
            "checksum of its content.",
            "Repeat the run with `graft fit`.",
        )


def checked_backbone(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `Backbone.record()` returned as plain data.

    Raises:
        DataError: It is something else.
    """
    return _plain(record, "The record of the backbone", BackboneRecord)[0]


def checked_part(
    record: Mapping[str, Any], registry: Registry, key: str, what: str, remedy: str = DAMAGED
) -> Any:
    """Return the record of a head or a task, read by the schema that its kind declares.

    Args:
        record: What `record()` returned.
        registry: Where its kind is found.
        key: Under which the record names its kind.
        what: What the record is, in errors.
        remedy: What to do about a record that is none.

    Raises:
        DataError: It is something else, or no installed package registers its kind.
    """
    try:
        schema = registry.find(record.get(key)).Record
    except (RecipeError, AttributeError) as error:
        kind = shown(record.get(key))
        raise DataError(
            f"{what} is {kind}, which no installed package registers as a {registry.what} with a "
            "schema `Record`.",
            f"Install the package with {kind} under the entry point group '{registry.group}'.",
        ) from error
    return _plain(record, what, schema, remedy)[1]


def _plain(
    record: Mapping[str, Any], what: str, schema: type[Strict], remedy: str = DAMAGED
) -> tuple[dict[str, Any], Strict]:
    """Return a record as plain data and as its schema reads it."""
    try:
        plain: dict[str, Any] = json.loads(canonical(record))
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{what} is not JSON: {error}.", remedy) from error
    return plain, _validated(plain, what, remedy, schema)


def _check(facts: Mapping[str, Any], what: str, remedy: str, *, writing: bool = False) -> None:
    """Refuse facts that are not those of a model.

    A head or a task that no package registers is written as it is, and refused when it is read.
    """
    _validated(facts, what, remedy, ModelRecord)
    named = facts["head"] is not None
    registered = named and facts["head"].get("kind") in HEADS and facts["task"].get("name") in TASKS
    if registered or (named and not writing):
        task = checked_part(facts["task"], TASKS, "name", f"The task in {what}", remedy)
        head = checked_part(facts["head"], HEADS, "kind", f"The head in {what}", remedy)
        _check_fit(task, head, facts["backbone"], what, remedy)


def _validated(facts: Mapping[str, Any], what: str, remedy: str, schema: type[Strict]) -> Strict:
    try:
        return schema.model_validate(facts)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:200]
        message = first["msg"].removeprefix("Value error, ")
        message = message[0].lower() + message[1:]
        if len(message) > LONGEST_MESSAGE:  # pydantic repeats in it what was given
            message = f"{message[: LONGEST_MESSAGE // 2]}…{message[-LONGEST_MESSAGE // 2 :]}"
        given = first["input"]
        where = "" if isinstance(given, dict | list) else f"{place} = {shown(given)}: "
        where = where or (f"{place}: " if place else "")
        raise DataError(f"{what} is not what Graft writes: {where}{message}.", remedy) from None
