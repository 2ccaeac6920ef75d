"""The file of facts, which `tools/make_zoo_facts.py` writes."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from graft.backbones.catalogue.entry import Entry


@cache
def all_entries() -> tuple[Entry, ...]:
    """Return every model of the zoo: provider by provider, family by family.

    Example:
        >>> sum(entry.provider == "torchvision" for entry in all_entries())
        80
    """
    text = files(__package__).joinpath("facts.json").read_text(encoding="utf-8")
    return tuple(Entry.from_dict(facts) for facts in json.loads(text)["models"])


def find(name: str, weights: str | None = None) -> Entry | None:
    """Return the facts of a model, None if the zoo has none.

    Args:
        name: "[provider:]architecture"; without a provider, Graft's own or torchvision's.
        weights: If given, the weights that the facts have to be about.

    Example:
        >>> find("resnet18") == find("torchvision:resnet18", "IMAGENET1K_V1")
        True
        >>> find("resnet18", "MINE") is None
        True
    """
    wanted = (name,) if ":" in name else (f"graft:{name}", f"torchvision:{name}")
    for entry in all_entries():
        if entry.name in wanted and weights in (None, entry.weights):
            return entry
    return None
