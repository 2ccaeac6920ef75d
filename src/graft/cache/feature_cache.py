"""The cache of activations at the cut: what determines them, where they are kept, and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch

from graft.cache.activations import CLEAN, Activations, FrozenPrefix
from graft.cache.planner import Costs, Decision, Demand, Space, decide, decide_images
from graft.cache.storage import DiskStorage, MemoryStorage, Storage
from graft.cache.store import Store
from graft.data.decode import decode, decoder
from graft.data.loader import Loader
from graft.data.manifest import Sample
from graft.data.prefetch import PixelCache, bytes_of
from graft.data.preprocess import Preprocess
from graft.inference import eval_batch
from graft.machine import available_memory

FORMAT = 2
"""Raised when activations of older versions of Graft would no longer be the same."""

MEMORY_SHARE = 0.25
"""Share of the free memory that activations may take."""

LEAST_TO_MAKE = 5e-4
"""Lower bound of the seconds per image: decoding an image of usual size takes longer."""

PIXELS = "pixels"
"""Stands for the cut of images that no stage has seen."""

DECODED = 8
"""Images that are decoded to know what one costs."""

PROOF_IMAGES = 4
"""Real images on which cached features are compared with the whole network's."""


@dataclass(frozen=True)
class Kept:
    """What was decided about some activations, for people and for `run.json`.

    Args:
        what: Such as "training images".
        cut: The stage above the cut, "head", or "pixels" for decoded images.
        where: "disk", "memory" or "nowhere".
        found: Share of the activations that the phase starts with that were there already.
        reason: Why, as a sentence.
    """

    what: str
    cut: str
    where: str
    found: float
    reason: str

    def __str__(self) -> str:
        there = f" ({self.found:.0%} found)" if self.found else ""
        activations = "Decoded images" if self.cut == PIXELS else f"Activations at {self.cut}"
        return f"{activations} of {self.what}: {self.where}{there}; {self.reason}."


class FeatureCache:
    """Keeps what frozen stages made of images, on disk for later runs or in memory for this one.

    Activations are found again only if everything that determines them is the same: the file's
    content, the frozen weights, architecture, cut, preprocessing, decoder, precision, and for an
    augmented view the augmentation, the seed and the view's number.

    Args:
        folder: Where activations are kept between runs; None keeps none.
        memory: Most bytes of memory for activations; None means a quarter of what is free. With
            0 and no folder nothing is kept.
        on_decision: Called with every decision.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        memory: int | None = None,
        on_decision: Callable[[Kept], None] | None = None,
    ) -> None:
        self.store = Store(folder) if folder is not None else None
        self.memory = memory
        self.on_decision = on_decision
        self.decisions: list[Kept] = []
        self._entries: dict[str, DiskStorage] = {}
        self._make: WeakKeyDictionary[FrozenPrefix, float] = WeakKeyDictionary()

    @classmethod
    def at(
        cls, folder: Path | None, *, on_decision: Callable[[Kept], None] | None = None
    ) -> FeatureCache:
        """Return the cache in a folder; without one, a cache that keeps nothing at all."""
        return cls(folder, memory=None if folder else 0, on_decision=on_decision)

    @property
    def keeps(self) -> bool:
        """Whether anything may be kept."""
        return self.store is not None or self.memory != 0

    def activations(
        self,
        what: str,
        loader: Loader,
        prefix: FrozenPrefix,
        weights: str,
        *,
        views: Sequence[int],
        uses: int,
    ) -> Activations:
        """Return the activations of a loader's images, kept where that pays.

        Args:
            what: What the images are, such as "training images".
            loader: Of training or of clean validation images.
            prefix: The frozen stages.
            weights: Hash of everything that they hold.
            views: The views of each image that will be used.
            uses: How often each image will be used in this run.
        """
        entry = self._entry(loader, prefix, weights)
        activations = Activations(loader, prefix, entry)
        found = 0.0 if entry is None else _share_found(activations, views)
        if found == 1:
            self._tell(Kept(what, prefix.cut, "disk", found, "kept by an earlier run"))
            return activations
        demand = Demand(len(loader.samples), len(views), uses, 4 * prefix.size)
        decision = self._decide(demand, loader, views[0], prefix, entry)
        storage: Storage | None = None
        if decision.where == "disk" and self.store is not None:
            self.store.evict(self.store.limit() - demand.bytes)
            storage = entry
        elif decision.where == "memory":
            storage = MemoryStorage(prefix.size)
        kept = found if decision.where == "disk" else 0.0
        self._tell(Kept(what, prefix.cut, decision.where, kept, decision.reason))
        return Activations(loader, prefix, storage)

    def prove(self, activations: Activations, view: int = CLEAN) -> str | None:
        """Compare activations of a view with the whole network on a few real images.

        Returns:
            Why they cannot be trusted; None if they can.
        """
        loader, prefix = activations.loader, activations.prefix
        positions = list(range(min(PROOF_IMAGES, len(loader.samples))))
        batch = next(iter(loader.some(positions, view)))
        return prefix.differs(batch.inputs, activations.read(positions, view))

    def images(
        self, samples: Sequence[Sample], preprocess: Preprocess, looks: int
    ) -> PixelCache | None:
        """Return what keeps decoded images between epochs; None where that gains nothing.

        Args:
            samples: The images.
            preprocess: The input they are decoded for.
            looks: How often each may be used.
        """
        if not self.keeps or not looks or not samples:
            return None
        pixels = PixelCache()
        seconds, size = _decoding(samples, preprocess)
        decision = decide_images(Demand(len(samples), 1, looks, size), seconds, pixels.limit)
        self._tell(Kept("all images", PIXELS, decision.where, 0.0, decision.reason))
        return pixels if decision.where == "memory" else None

    def finish(self) -> list[str]:
        """Make room for other runs, and return what could not be kept, as sentences."""
        if self.store is None:
            return []
        self.store.evict()
        return [f"{entry.refused}." for entry in self._entries.values() if entry.refused]

    def records(self) -> list[dict[str, Any]]:
        """Return every decision as JSON-ready data."""
        return [asdict(kept) for kept in self.decisions]

    def _tell(self, kept: Kept) -> None:
        self.decisions.append(kept)
        if self.on_decision:
            self.on_decision(kept)

    @cached_property
    def _disk(self) -> tuple[float, float]:
        """The seconds that writing and reading a byte take."""
        return (0.0, 0.0) if self.store is None else self.store.measure_disk()

    def _decide(
        self,
        demand: Demand,
        loader: Loader,
        view: int,
        prefix: FrozenPrefix,
        entry: DiskStorage | None,
    ) -> Decision:
        memory = int(available_memory() * MEMORY_SHARE) if self.memory is None else self.memory
        disk = self.store.room() if self.store is not None and entry is not None else 0
        if not (memory or disk):
            return Decision("nowhere", "the cache is off", 0.0)
        write, read = self._disk if disk else (0.0, 0.0)
        space = Space(memory, disk if write else 0)
        # Where they are so small that the time to decode an image decides, nothing is measured.
        at_least = decide(demand, Costs(LEAST_TO_MAKE, write, read), space)
        if at_least.where == "disk":
            return at_least
        if prefix not in self._make:
            self._make[prefix] = _seconds_to_make(loader, view, prefix)
        return decide(demand, Costs(self._make[prefix], write, read), space)

    def _entry(self, loader: Loader, prefix: FrozenPrefix, weights: str) -> DiskStorage | None:
        """Return the storage on disk; None where an image has no content hash."""
        named = all(isinstance(sample, Sample) and sample.sha256 for sample in loader.samples)
        if self.store is None or not named:
            return None
        backbone, augmentation = prefix.backbone, loader.augmentation
        device = next(backbone.module.parameters()).device
        facts = {
            "format": FORMAT,
            "graft": version("graftlearn"),
            "torch": torch.__version__,
            "decoder": decoder(),
            "backbone": backbone.name,
            "architecture": backbone.architecture,
            "removed": list(backbone.removed),
            "weights": weights,
            "cut": prefix.cut,
            "shapes": [list(shape) for shape in prefix.shapes],
            "preprocess": loader.preprocess.to_dict(),
            "precision": prefix.precision,
            "device": device.type,
            "batch": eval_batch(device),
            "augmentation": None if augmentation is None else repr(augmentation),
            "seed": None if augmentation is None else loader.seed,
        }
        entry = DiskStorage(self.store, facts, prefix.size)
        return self._entries.setdefault(entry.key, entry)


def _decoding(samples: Sequence[Sample], preprocess: Preprocess) -> tuple[float, int]:
    """Measure on a few images how long one takes to decode, and how many bytes it then has."""
    chosen = samples[:: -(-len(samples) // DECODED)]
    started, size = time.perf_counter(), 0
    for sample in chosen:
        size += bytes_of(decode(sample.path, preprocess.decode_shorter, sample.sha256))
    return (time.perf_counter() - started) / len(chosen), size // len(chosen)


def _share_found(activations: Activations, views: Sequence[int]) -> float:
    """Return the share of the activations of some views that are kept."""
    missing = sum(len(activations.missing(view)) for view in views)
    return 1 - missing / max(1, len(views) * len(activations.loader.samples))


def _seconds_to_make(loader: Loader, view: int, prefix: FrozenPrefix) -> float:
    """Measure the seconds per image, from the file on; the first batch only warms up."""
    positions = list(range(min(eval_batch(torch.device("cpu")), len(loader.samples))))
    best = float("inf")
    for _ in range(2):
        started = time.perf_counter()
        for batch in loader.some(positions, view):
            prefix.activations(batch.inputs)
        best = min(best, (time.perf_counter() - started) / len(positions))
    return best
