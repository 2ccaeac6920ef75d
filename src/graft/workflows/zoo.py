"""`graft zoo`: the table of pre-trained models, filtered and sorted.

It works from facts that ship with the package: no model is built, nothing is fetched, and torch is
not imported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from graft.errors import RecipeError, nearest
from graft.zoo.catalogue import PURPOSES, ZooEntry, all_entries

# Each sorts what people look for to the top, and models whose fact is unknown to the end.
SORTS: Mapping[str, Callable[[ZooEntry], Any]] = {
    "name": lambda entry: (entry.provider != "torchvision", _natural(entry.name)),
    "top1": lambda entry: -(entry.top1 or 0),
    "params": lambda entry: entry.parameters,
    "flops": lambda entry: entry.gflops,
}
_UNITS = {"": 1, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9}


def list_models(
    *,
    family: str | None = None,
    provider: str | None = None,
    max_params: int | str | None = None,
    min_top1: float | None = None,
    suits: str | None = None,
    sort: str = "name",
) -> list[ZooEntry]:
    """Return the models of the zoo that fit every condition.

    Args:
        family: Such as "ResNet"; capitals, blanks and hyphens do not matter.
        provider: "graft", "lite", "torchvision" or "timm".
        max_params: Largest number of parameters, such as 10_000_000 or "10M".
        min_top1: Smallest published ImageNet-1K accuracy in percent. Models without a published
            one do not fit.
        suits: "prototype", "edge", "balanced", "accuracy" or "large-data"; see `purposes`.
        sort: "name", "top1" (best first), "params" or "flops" (fewest first).

    Raises:
        RecipeError: A family, provider, purpose, order or number is not understood.

    Example:
        >>> [entry.name for entry in list_models(family="vgg", max_params="135M", sort="top1")]
        ... # doctest: +NORMALIZE_WHITESPACE
        ['torchvision:vgg13_bn', 'torchvision:vgg11_bn', 'torchvision:vgg13', 'torchvision:vgg11']
    """
    entries = all_entries()
    families = _one_of("--family", family, (entry.family for entry in entries))
    providers = _one_of("--provider", provider, (entry.provider for entry in entries))
    purposes = _one_of("--suits", suits, (purpose.name for purpose in PURPOSES))
    [order] = _one_of("--sort", sort, SORTS)
    most = _number(max_params)
    found = [
        entry
        for entry in entries
        if entry.family in families
        and entry.provider in providers
        and entry.parameters <= most
        and (min_top1 is None or (entry.top1 or 0) >= min_top1)
        and (suits is None or purposes & set(entry.suits))
    ]
    by_name = sorted(found, key=SORTS["name"])
    return sorted(by_name, key=SORTS[order])


def _one_of(option: str, asked: str | None, known: Iterable[str]) -> set[str]:
    """Return the known word that was asked for, or all of them if none was."""
    words = list(dict.fromkeys(known))
    if asked is None:
        return set(words)
    found = {word for word in words if _plain(word) == _plain(asked)}
    if not found:
        close = nearest(asked.casefold(), (word.casefold() for word in words))
        raise RecipeError(
            f"{option} {asked} is not known.", f"Nearest: {close}. All: {', '.join(words)}."
        )
    return found


def _number(text: int | str | None) -> float:
    """Return the number that "10M" or "10,000,000" means, infinity for None."""
    if text is None:
        return float("inf")
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([kmbg]?)", str(text).lower().replace(",", ""))
    if match is None:
        raise RecipeError(
            f"--max-params {text} is not a number of parameters.", "Write 10M, 500k or 10000000."
        )
    return float(match[1]) * _UNITS[match[2]]


def _plain(word: str) -> str:
    return re.sub(r"[\s_-]", "", word.casefold())


def _natural(name: str) -> list[Any]:
    """Split a name so that numbers in it sort as numbers: resnet18 before resnet101."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
