"""`graft predict`: what a classifier says about files, folders and globs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from graft.backbones.load import Published, load_published
from graft.backbones.providers import DEFAULT, find_provider, split_name
from graft.data.layout import find_images
from graft.errors import DataError, RecipeError, ResourceError, nearest
from graft.files import readable_path
from graft.host import isolated_steps
from graft.inference import Predictor
from graft.inference import Unreadable as Unreadable
from graft.model import Model
from graft.tasks import Classification
from graft.zoo.catalogue import all_entries


@isolated_steps
def predict(
    model: str | os.PathLike[str] | Model,
    paths: Sequence[str | os.PathLike[str]],
    *,
    top: int = 5,
    workers: int | None = None,
    weights: str | os.PathLike[str] | None = None,
) -> Iterator[Any]:
    """Predict images as they are read, in order.

    Args:
        model: A run folder, a model folder, or a model; or the name of a published network, such
            as "resnet18", which is taken with its own classifier and classes.
        paths: Image files, folders (searched with their subfolders) and globs.
        top: Most probable classes to name.
        workers: Threads that decode; None means one per core.
        weights: A local weights file for a published network; None fetches the published ones.

    Yields:
        A prediction per image, of the kind that the model's task makes, or an `Unreadable`.

    Raises:
        DataError: The model cannot be loaded, or a path leads to no image.
        BackboneError: The network or its weights are unknown, or it has no classifier.
        ResourceError: The published weights could not be fetched.
    """
    if isinstance(model, Model) or not is_published(model):
        if weights is not None:
            raise RecipeError(
                f"A trained model has its own weights; '{os.fspath(weights)}' has no place in it.",
                "Leave out --weights, or name a published network such as resnet18.",
            )
        loaded: Any = model if isinstance(model, Model) else Model.load(model)
    else:
        loaded = _published(os.fspath(model), weights)
    images = find_images(paths)
    with Predictor(loaded, workers=workers) as predictor:
        yield from predictor.stream(images, top=top)


def is_published(model: str | os.PathLike[str]) -> bool:
    """Whether a name is that of a published network, and not of a folder that Graft saved.

    Example:
        >>> is_published("resnet18"), is_published("runs/ants")
        (True, False)
    """
    path = readable_path(model)
    if path.exists():
        return (path / "config.json").is_file()  # saved by transformers
    name = os.fspath(model)
    return ":" in name or not any(separator in name for separator in (os.sep, "/"))


@dataclass(frozen=True)
class _Whole:
    """A published network as a predictor takes it: the classifier is part of the body."""

    backbone: Published
    task: Classification
    head: nn.Module = field(default_factory=nn.Identity)

    @property
    def body(self) -> nn.Module:
        return self.backbone.module


def _published(name: str, weights: str | os.PathLike[str] | None) -> _Whole:
    provider, architecture, _ = split_name(name)
    named = ":" in name or Path(name).exists()
    if not named and architecture not in find_provider(provider).names():
        known = [entry.name.removeprefix(f"{DEFAULT}:") for entry in all_entries()]
        raise DataError(
            f"'{name}' is neither a folder with a model nor a network of the zoo.",
            f"Nearest: {nearest(name.lower(), known)}. `graft zoo` lists them all.",
        )
    try:
        published = load_published(name, weights=None if weights is None else Path(weights))
    except ResourceError as error:
        way_out = f"{error.remedy} Or take lite0, whose weights came with Graft."
        raise ResourceError(error.problem, way_out) from error
    return _Whole(published, Classification(published.classes))
