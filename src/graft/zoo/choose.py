"""Which backbone `graft fit` takes where none was named, and why.

The rule: the most accurate of the usual small networks whose features of these images take at most
30 seconds here; weights that are in the cache already win if they are at most 3 points less
accurate; where there are no weights and no network, graft-small, which ships with Graft.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from graft.backbones.providers import DEFAULT
from graft.backbones.weights import cached_download
from graft.config import Recipe
from graft.download import offline, promised_hash, staying_offline
from graft.errors import ResourceError
from graft.strategies.priors import PRIORS
from graft.zoo.catalogue import ZooEntry, all_entries
from graft.zoo.machine import Machine, reachable, this_machine
from graft.zoo.recognize import recognise_weights
from graft.zoo.suggest import fits, is_open, seconds_for

SHIPPED = "graft-small"
USUAL = ("EfficientNet", "MobileNet", "ResNet")
"""Families of which one is fetched unasked: widely known, and quick on any device."""

PURPOSE = "prototype"
"""What a network that is fetched unasked has to suit: small enough to try anywhere."""

SECONDS = 30.0
"""The longest that features of the images may take, by estimate, so that a first run is quick."""

LONGEST = 600.0
"""The same for weights in the cache where the choice is between them and graft-small."""

GAIN = 3.0
"""Points of published top-1 that are worth a download."""

TIMEOUT = 3.0
"""Seconds to wait for a server that nobody asked for by name."""


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
    recipe: Recipe, count: Callable[[], int], *, fetch: bool = True
) -> tuple[Recipe, Choice | None]:
    """Return the recipe with a backbone, and the choice if one had to be made.

    Args:
        recipe: One that names a backbone is returned as it is.
        count: Counts the images; asked only where the choice depends on it.
        fetch: As in `choose_for_images`.

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
        choice = choose_for_images(recipe, count(), fetch=fetch)
    backbone = recipe.backbone.model_copy(update={"name": choice.name})
    return recipe.model_copy(update={"backbone": backbone}), choice


def choose_for_images(
    recipe: Recipe, images: int, *, fetch: bool = True, machine: Machine | None = None
) -> Choice:
    """Return the best backbone that is available here for so many images.

    Args:
        recipe: Its image size and whether it stays offline.
        images: How many the backbone makes features of.
        fetch: Download the weights if need be, and take what is there if that fails. With False
            the network is asked nothing and a download is supposed to succeed.
        machine: Where it will run; None looks at this one.
    """
    machine = machine or this_machine()
    rivals = [
        _Rival(entry, _seconds(entry, images, recipe.data.image_size, machine))
        for entry in all_entries()
        if entry.provider == DEFAULT and is_open(entry) and fits(entry, PRIORS[0], machine)
        # Other networks do not take images of any size.
        if entry.family in USUAL or recipe.data.image_size is None
    ]
    with staying_offline(recipe.offline):
        best = _best_to_fetch(rivals)
        failure = "Graft is offline" if offline() else ""
        for rival in _in_order(rivals, best):
            if rival.cached and _is_cached(rival.entry, whole=True):
                return Choice(rival.name, _words_for_cached(rival, failure))
            if rival is best and not failure:
                failure = _fetch(rival.entry) if fetch else ""
                if not failure:
                    return Choice(rival.name, _words_for_fetched(rival, images))
    return Choice(SHIPPED, _last_words(rivals, best, failure), fallback=True)


class _Rival:
    """A published network, and what it would cost here."""

    def __init__(self, entry: ZooEntry, seconds: float) -> None:
        self.entry, self.seconds = entry, seconds
        self.name = entry.name.removeprefix(f"{DEFAULT}:")
        self.top1 = entry.top1 or 0.0
        self.cached = _is_cached(entry)


def _seconds(entry: ZooEntry, images: int, image_size: int | None, machine: Machine) -> float:
    """Estimate the time for the features; the cost of convolutions goes with the area."""
    enlarged = (image_size or entry.image_size) / entry.image_size
    return seconds_for(entry, images, PRIORS[0], machine) * enlarged**2


def _best_to_fetch(rivals: list[_Rival]) -> _Rival | None:
    """Return the most accurate usual network that is quick here, else the quickest of them."""
    usual = [
        rival for rival in rivals if rival.entry.family in USUAL and PURPOSE in rival.entry.suits
    ]
    quick = [rival for rival in usual if rival.seconds <= SECONDS]
    if quick:
        return max(quick, key=lambda rival: rival.top1)
    return min(usual, key=lambda rival: rival.seconds, default=None)


def _in_order(rivals: list[_Rival], best: _Rival | None) -> Iterator[_Rival]:
    """Yield what to try, one after the other."""
    cached = sorted((rival for rival in rivals if rival.cached), key=lambda rival: -rival.top1)
    quick = [rival for rival in cached if rival.seconds <= SECONDS]
    if best is not None:
        yield from (rival for rival in quick if rival.top1 >= best.top1 - GAIN)
        yield best
    yield from quick
    slower = [rival for rival in cached if SECONDS < rival.seconds <= LONGEST]
    yield from sorted(slower, key=lambda rival: rival.seconds)


def _is_cached(entry: ZooEntry, *, whole: bool = False) -> bool:
    """Whether the weights are there; with `whole`, whether they are what they should be."""
    try:
        with staying_offline():
            cached_download(entry.url, sha256=promised_hash(entry.url) if whole else None)
    except ResourceError:
        return False
    return True


def _fetch(entry: ZooEntry) -> str:
    """Download weights; return in words what was in the way, "" for nothing."""
    host = urlsplit(entry.url).hostname
    if not reachable(entry.url, TIMEOUT):
        return f"{host} cannot be reached"
    try:
        known = promised_hash(entry.url)
        cached_download(entry.url, sha256=known, timeout=TIMEOUT, attempts=2)
    except ResourceError as error:
        reason = str(error.__cause__ or error.problem).rstrip(".")
        return f"{entry.name.rpartition(':')[2]} could not be fetched from {host} ({reason})"
    return ""


def _words_for_cached(rival: _Rival, failure: str) -> str:
    facts = f"Backbone: {rival.name}, ImageNet top-1 {rival.top1:.1f} %"
    if failure:
        return f"{facts}, the best in the cache: {failure}."
    return f"{facts}, whose weights are in the cache."


def _words_for_fetched(rival: _Rival, images: int) -> str:
    quick = rival.seconds <= SECONDS
    why = "the quickest of the usual networks"
    if quick:
        why = (
            "the most accurate of the usual networks whose features of "
            f"{images:,} images take less than {SECONDS:.0f} s here"
        )
    return (
        f"Backbone: {rival.name}, ImageNet top-1 {rival.top1:.1f} %, {why}; "
        f"{rival.entry.file_mb or 0:,.0f} MB to fetch once."
    )


def _last_words(rivals: list[_Rival], best: _Rival | None, failure: str) -> str:
    cache = "no published weights are in the cache"
    if any(rival.cached for rival in rivals):
        cache = "the published weights in the cache are damaged or too slow for so many images"
    better = f"{best.name} with a network, or --weights FILE," if best else "--weights FILE"
    return (
        f"Backbone: {SHIPPED}, which ships with Graft: {cache} and "
        f"{failure or 'no other network fits into the memory'}. For photographs, {better} is "
        "likely to be much better."
    )
