"""`graft zoo --suggest DIR`: a short list of models for these images and this machine.

Before a model has seen the images, its published accuracy is what is known about it, and better
ImageNet models transfer better on average (Kornblith et al., https://arxiv.org/abs/1805.08974). So
the list holds the most accurate model within each budget of time. What the time goes into depends
on the amount of data: few images pay for features computed once, many for training.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from graft.data.manifest import Manifest
from graft.data.scan import scan
from graft.errors import DataError
from graft.strategies.priors import PRIORS, Prior, lighter, prior_for
from graft.zoo.catalogue import ZooEntry, all_entries
from graft.zoo.machine import Machine, this_machine

BYTES = 4  # per number in float32
MEMORY_SHARE = 0.5  # the rest is for activations and for whatever else runs
SPEED_SHARE = 0.5  # of a plain convolution's speed is what networks reach
FEWEST = 3
MINUTE = 60.0


@dataclass(frozen=True)
class Role:
    """A place on the list.

    Args:
        description: What it is for.
        suits: Purposes, of which the model suits one.
        seconds: The longest that a run may take.
        images: As for how many images the network is trained at most; None means as for those
            there are.
    """

    description: str
    suits: tuple[str, ...]
    seconds: float
    images: int | None = None


ROLES = (
    Role("to begin with", ("prototype",), 2 * MINUTE, images=0),
    Role("for balance", ("balanced",), 10 * MINUTE),
    Role("for accuracy", ("balanced", "accuracy"), 60 * MINUTE),
    Role("for small devices", ("edge",), 60 * MINUTE),
)


@dataclass(frozen=True)
class Suggestion:
    """One model of the list.

    Args:
        entry: The model.
        role: What it is for.
        strategy: The strategy for this model, these images and this machine.
        seconds: Estimated time that a run computes here.
        reasons: Why, in sentences.
    """

    entry: ZooEntry
    role: str
    strategy: str
    seconds: float
    reasons: tuple[str, ...]


def suggest(data: str | os.PathLike[str], machine: Machine | None = None) -> dict[str, Any]:
    """Suggest three to five models for a folder of images.

    Args:
        data: A folder or CSV of labelled images; only their headers are read.
        machine: Where to train; None looks at this one.

    Returns:
        `images`, `classes`, `machine`, the `strategy` that so many images suggest and `why`,
        `notes`, and the `suggestions`, each with the fields of `Suggestion`.

    Raises:
        DataError: There are no labelled images.
    """
    manifest = scan(data, check=False)
    training = manifest.subset("train") or manifest.readable
    if not training:
        raise DataError(f"No image in '{data}' can be read.", "Check the files.")
    machine = machine or this_machine()
    prior = prior_for(len(training))
    found = choose(len(training), machine)
    return {
        "data": os.fspath(data),
        "images": len(training),
        "classes": len({sample.label for sample in training}),
        "machine": asdict(machine),
        "strategy": prior.strategy,
        "why": prior.reason,
        "notes": _notes(manifest, found),
        "suggestions": [
            {**vars(item), "entry": item.entry.to_dict(), "reasons": list(item.reasons)}
            for item in found
        ],
    }


def choose(images: int, machine: Machine) -> list[Suggestion]:
    """Return the list for so many training images on a machine.

    Models without a published accuracy, and those whose licence forbids commercial use, are not
    suggested.

    Example:
        >>> laptop = Machine(cores=8, memory=16 * 1024**3, accelerator=None, speed=2e11)
        >>> [(item.role, item.entry.name) for item in choose(244, laptop)]
        ... # doctest: +NORMALIZE_WHITESPACE
        [('to begin with', 'torchvision:efficientnet_b3'),
         ('for balance', 'torchvision:efficientnet_v2_s'),
         ('for accuracy', 'torchvision:efficientnet_v2_l'),
         ('for small devices', 'torchvision:efficientnet_b1')]
    """
    left = [entry for entry in all_entries() if is_open(entry)]
    found: list[Suggestion] = []

    def add(entry: ZooEntry, role: str, prior: Prior, reason: str) -> None:
        left.remove(entry)
        seconds = seconds_for(entry, images, prior, machine)
        reasons = (reason, _why_time(entry, images, prior, seconds), _why_terms(entry))
        found.append(Suggestion(entry, role, prior.strategy, seconds, reasons))

    for role in ROLES:
        most = images if role.images is None else role.images
        wanted = prior_for(most)
        for prior in lighter(wanted):
            rivals = [
                entry
                for entry in left
                if set(role.suits) & set(entry.suits)
                and fits(entry, prior, machine)
                and seconds_for(entry, images, prior, machine) <= role.seconds
            ]
            if rivals:
                best = max(rivals, key=lambda entry: entry.top1 or 0)
                longer = "" if prior is wanted else f" '{wanted.strategy}' would take longer."
                add(best, role.description, prior, _why_best(best, len(rivals), role) + longer)
                break
    for entry in sorted(left, key=lambda entry: entry.gflops)[: max(0, FEWEST - len(found))]:
        add(entry, "as the quickest", PRIORS[0], f"Top-1 {entry.top1:.1f} %; the least to compute.")
    return found


def is_open(entry: ZooEntry) -> bool:
    """Whether a model has a published accuracy and a licence that allows commercial use."""
    return entry.top1 is not None and entry.licence is not None and "-NC" not in entry.licence


def fits(entry: ZooEntry, prior: Prior, machine: Machine) -> bool:
    """Whether training a model in the way of a prior fits into the machine's memory."""
    return entry.parameters * BYTES * prior.copies <= machine.memory * MEMORY_SHARE


def seconds_for(entry: ZooEntry, images: int, prior: Prior, machine: Machine) -> float:
    """Return the estimated time to train a model on so many images in the way of a prior."""
    return images * prior.passes * entry.gflops * 1e9 / (machine.speed * SPEED_SHARE)


def _why_best(entry: ZooEntry, rivals: int, role: Role) -> str:
    best = f"the best of {rivals}" if rivals > 1 else "the only one"
    purpose = " or ".join(f"'{name}'" for name in role.suits)
    return (
        f"Top-1 {entry.top1:.1f} %, {best} for {purpose} in less than {_time(role.seconds)} here."
    )


def _why_time(entry: ZooEntry, images: int, prior: Prior, seconds: float) -> str:
    once = "Features once" if prior.passes == 1 else f"Training ({prior.passes} passes)"
    return f"{once} over {images:,} images at {entry.gflops:.3g} GFLOPs: about {_time(seconds)}."


def _why_terms(entry: ZooEntry) -> str:
    package = entry.url.startswith("package:")
    return f"{entry.file_mb:,.0f} MB {'in a package' if package else 'to fetch'}, {entry.licence}."


def _notes(manifest: Manifest, found: list[Suggestion]) -> list[str]:
    """Return what should be known beside the list."""
    sides = [min(sample.width, sample.height) for sample in manifest.readable]
    side, wanted = round(median(sides)), min(item.entry.image_size for item in found)
    notes = []
    if side < wanted / 2:
        notes.append(
            f"The images are about {side} pixels on the shorter side and would be enlarged to "
            f"{wanted} or more; a smaller --image-size saves time and may cost nothing."
        )
    return notes


def _time(seconds: float) -> str:
    if seconds < MINUTE:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < 60 * MINUTE else f"{seconds / 3600:.0f} h"
