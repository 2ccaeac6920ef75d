"""A loader's batches with rows at the cut in the place of pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from graft.cache.frozen import FrozenPrefix
from graft.cache.storage import Storage
from graft.data.loader import Batch, Batches, Loader
from graft.data.manifest import Sample

CLEAN = 0
"""The view of an image without augmentation."""

OnImages = Callable[[int], None]


class Activations:
    """Rows at a cut for the images of a loader: found in a storage, or made from the images.

    Args:
        loader: Gives order, labels and pictures.
        prefix: Makes rows of pictures.
        storage: Keeps rows; None makes them anew whenever they are asked for.
    """

    def __init__(self, loader: Loader, prefix: FrozenPrefix, storage: Storage | None) -> None:
        self.loader, self.prefix, self.storage = loader, prefix, storage
        self._names = [_name(sample, row) for row, sample in enumerate(loader.samples)]

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self.loader)

    def missing(self, view: int) -> list[int]:
        """Return the positions of the images whose rows would have to be made."""
        if self.storage is None:
            return list(range(len(self._names)))
        there = self.storage.find(self._ids(range(len(self._names)), view))
        return [position for position, found in enumerate(there) if not found]

    def prepare(self, view: int, on_images: OnImages | None = None) -> None:
        """Make the rows of a view that are not kept yet. Without a storage, do nothing."""
        if self.storage is None:
            return
        with self.storage.writer() as writer:
            for batch in self.loader.some(self.missing(view), view):
                names = self._ids(batch.indices.tolist(), view)
                writer.add(names, self.prefix.rows(batch.inputs).numpy())
                if on_images is not None:
                    on_images(len(batch))

    def epoch(self, number: int, view: int, *, start: int = 0) -> Batches:
        """Yield the batches of `loader.epoch(number, view=view)`, activations as their inputs.

        Whether rows are found or made, they are the same bits.
        """
        if self.storage is None:
            for batch in self.loader.epoch(number, view=view, start=start):
                yield replace(batch, inputs=self.prefix.rows(batch.inputs))
            return
        for rows in self.loader.batches(number)[start:]:
            indices = torch.from_numpy(rows)
            yield Batch(self.read(rows.tolist(), view), self.loader.targets[indices], indices)

    def read(self, positions: Sequence[int], view: int) -> Tensor:
        """Return the rows (N, size) of images; those that are missing or damaged are made."""
        if self.storage is None:
            return self._made(positions, view)
        rows, right = self.storage.read(self._ids(positions, view))
        found = torch.from_numpy(rows)
        if not right.all():
            wrong = np.flatnonzero(~right)
            again = [positions[index] for index in wrong.tolist()]
            found[torch.from_numpy(wrong)] = self._made(again, view)
        return found

    def everything(self, view: int, on_images: OnImages | None = None) -> Tensor:
        """Return the rows (N, size) of all images of the loader, in its samples' order."""
        everything = range(len(self._names))
        if self.storage is None:
            return self._made(everything, view, on_images)
        self.prepare(view, on_images)
        return self.read(everything, view)

    def _made(
        self, positions: Sequence[int], view: int, on_images: OnImages | None = None
    ) -> Tensor:
        made = torch.empty(len(positions), self.prefix.size)
        done = 0
        for batch in self.loader.some(positions, view):
            made[done : done + len(batch)] = self.prefix.rows(batch.inputs)
            done += len(batch)
            if on_images is not None:
                on_images(len(batch))
        return made

    def _ids(self, positions: Sequence[int], view: int) -> list[str]:
        return [f"{self._names[position]}:{view}" for position in positions]


def _name(sample: object, row: int) -> str:
    """Return what an image's rows are found under: its content, or its place in this loader."""
    return sample.identity if isinstance(sample, Sample) else str(row)
