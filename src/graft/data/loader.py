"""Batches of normalised images, decoded ahead by threads, the same for any number of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np
import torch
from PIL import Image

from graft.data.augment import Augmentation
from graft.data.decode import Readable, decode
from graft.data.manifest import Sample
from graft.data.prefetch import PixelCache, Positions, made_by_threads
from graft.data.preprocess import Preprocess
from graft.errors import DataError, RecipeError
from graft.machine import available_cores

UNLABELLED = -1
PADDING = -1


@dataclass(frozen=True)
class Batch:
    """N examples that go through the network together.

    Args:
        inputs: What the network takes: images as float32 of shape (N, channels, H, W), normalised,
            channels-last; or activations (N, size), which frozen stages made of them.
        targets: The target of each example, shape (N, ...); for classification int64 of
            shape (N,). -1 or NaN where there is no target.
        indices: int64 of shape (N,): position in the loader's samples, or -1 for padding.
        streams: Further batches by name that an objective looks at beside this one, such as an
            unlabelled target domain or another view of the same images.
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    indices: torch.Tensor
    streams: Mapping[str, Batch] = field(default_factory=dict)

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch, its streams included, on `device`."""
        return Batch(
            self.inputs.to(device, non_blocking=True),
            self.targets.to(device, non_blocking=True),
            self.indices.to(device, non_blocking=True),
            {name: batch.to(device) for name, batch in self.streams.items()},
        )

    def split(self, parts: int) -> Iterator[Batch]:
        """Yield the batch in parts of nearly equal size, every stream cut alike.

        Example:
            >>> batch = Batch(torch.zeros(5, 1), torch.zeros(5), torch.arange(5))
            >>> [part.indices.tolist() for part in batch.split(2)]
            [[0, 1, 2], [3, 4]]
        """
        streams = {name: list(batch.split(parts)) for name, batch in self.streams.items()}
        tensors = (self.inputs, self.targets, self.indices)
        cut = zip(*(tensor.tensor_split(parts) for tensor in tensors), strict=True)
        for index, (inputs, targets, indices) in enumerate(cut):
            own = {name: pieces[index] for name, pieces in streams.items()}
            yield Batch(inputs, targets, indices, own)

    def __len__(self) -> int:
        return len(self.indices)


Batches = Generator[Batch, None, None]
"""Batches as they are made; closing it stops what makes them."""


class Targets(Protocol):
    """Gives the targets of samples; every `graft.tasks.Task` does."""

    def targets(self, samples: Sequence[object]) -> torch.Tensor:
        """Return the target of each of N samples, shape (N, ...)."""


class Loader:
    """Turn samples into batches, epoch after epoch.

    Order and augmentation follow from `seed`, the epoch and each sample's content alone: neither
    the number of workers nor an interruption changes them. At most a few batches are in memory,
    beside what `pixels` keeps.

    Args:
        samples: What to load: samples of a manifest, or anything `decode` reads.
        task: Gives the target of each sample; None where there are no targets.
        preprocess: The input the network expects.
        batch_size: Most images in a batch.
        augmentation: Random changes for training; None shows the clean view.
        shuffle: Draw a new order for each epoch.
        seed: Seed of order and augmentation.
        workers: Decoding threads. None takes one per available core.
        overlap: Decode while the network computes, rather than in turns with it; it changes no
            number. None does so where there is an accelerator.
        pixels: Keeps decoded images of samples between epochs, and may be shared by loaders;
            None decodes them each time.
        pad: Give every batch exactly `batch_size` rows, the last filled with zeros (target and
            index -1). Positions of batches of one size are computed alike, so an image's logits do
            not depend on its companions, to the last bit.
        balanced: Without `pad`, let batch sizes differ by one at most instead of leaving a short
            batch at the end.
        shard: This process's rank and the number of processes; each sees every world-th sample of
            the epoch's order, in the same number of batches.
        failures: Where given, an image that cannot be read becomes padding, and its position and
            the reason are noted here; without it, such an image is an error.
        pool: Decoding threads that live on between epochs; None starts some for each.

    Raises:
        RecipeError: `batch_size` is below one.
        DataError: A sample's label is none that the task knows.

    Example:
        >>> red = Image.new("RGB", (40, 30), "red")
        >>> loader = Loader([red] * 5, None, Preprocess(8), batch_size=4)
        >>> [tuple(batch.inputs.shape) for batch in loader.epoch(0)]
        [(3, 3, 8, 8), (2, 3, 8, 8)]
        >>> padded = Loader([red] * 5, None, Preprocess(8), batch_size=4, pad=True)
        >>> [batch.indices.tolist() for batch in padded.epoch(0)]
        [[0, 1, 2, 3], [4, -1, -1, -1]]
    """

    def __init__(
        self,
        samples: Sequence[Sample | Readable],
        task: Targets | None,
        preprocess: Preprocess,
        *,
        batch_size: int,
        augmentation: Augmentation | None = None,
        shuffle: bool = False,
        seed: int = 0,
        workers: int | None = None,
        overlap: bool | None = None,
        pixels: PixelCache | None = None,
        pad: bool = False,
        balanced: bool = True,
        shard: tuple[int, int] = (0, 1),
        failures: dict[int, str] | None = None,
        pool: Executor | None = None,
    ) -> None:
        if batch_size < 1:
            raise RecipeError(f"A batch size of {batch_size} was given.", "Give at least 1.")
        self.samples = samples
        self.task = task
        self.preprocess = preprocess
        self.batch_size = batch_size
        self.augmentation = augmentation
        self.shuffle = shuffle
        self.seed = seed
        self.workers = max(1, available_cores() if workers is None else workers)
        self.overlap = torch.accelerator.is_available() if overlap is None else overlap
        self.pixels = pixels
        self.pad = pad
        self.balanced = balanced
        self.shard = shard
        self.failures = failures
        self.pool = pool
        self.targets = (
            torch.full((len(samples),), UNLABELLED) if task is None else task.targets(samples)
        )

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        mine = -(-len(self.samples) // self.shard[1])
        return -(-mine // self.batch_size)

    def epoch(self, number: int, *, view: int | None = None, start: int = 0) -> Batches:
        """Yield the batches of one epoch; closing the iterator stops the threads.

        Args:
            number: The epoch, from 0: it picks the order.
            view: Which augmented view of every image; None takes the epoch's own.
            start: Batches at the beginning of the epoch to leave out.

        Raises:
            DataError: An image has changed since its scan or is gone; the error names it.
        """
        yield from self._load(self.batches(number)[start:], number if view is None else view)

    def some(self, positions: Sequence[int], view: int) -> Iterator[Batch]:
        """Yield a view of some of the images, in the order given, without padding.

        Args:
            positions: Of the samples.
            view: Which augmented view.

        Raises:
            DataError: An image has changed since its scan or is gone; the error names it.
        """
        wanted: Positions = np.asarray(positions, dtype=np.int64)
        chunks = _chunks(wanted, self.batch_size, -(-len(wanted) // self.batch_size))
        for batch in self._load(chunks, view):
            real = batch.indices != PADDING
            if real.all():
                yield batch
            else:
                yield Batch(batch.inputs[real], batch.targets[real], batch.indices[real])

    def _load(self, batches: Sequence[Positions], view: int) -> Iterator[Batch]:
        threads = made_by_threads(
            batches,
            partial(self._view, view=view),
            workers=self.workers,
            overlap=self.overlap,
            pool=self.pool,
        )
        with closing(threads):
            for rows, views in threads:
                yield self._batch(rows, views)

    def batches(self, number: int) -> list[Positions]:
        """Return the positions of the samples of each batch of an epoch."""
        order: Positions = np.arange(len(self.samples))
        if self.shuffle:
            order = np.random.default_rng((self.seed, number)).permutation(order)
        rank, world = self.shard
        mine = order[rank::world]
        if self.balanced and not self.pad:
            return np.array_split(mine, len(self)) if len(self) else []
        # A process whose share is one sample less may end with an empty batch, as many as others.
        return _chunks(mine, self.batch_size, len(self))

    def _view(self, row: int, view: int) -> Image.Image | None:
        try:
            return self._readable_view(row, view)
        except DataError as error:
            if self.failures is None:
                raise
            self.failures[row] = error.problem
            return None

    def _readable_view(self, row: int, view: int) -> Image.Image:
        sample, image = self.samples[row], self._image(row)
        if self.augmentation is None:
            return self.preprocess.view(image)
        rng = np.random.default_rng((self.seed, view, _key(sample, row)))
        return self.augmentation.view(image, self.preprocess, rng)

    def _image(self, row: int) -> Image.Image:
        sample, shorter = self.samples[row], self.preprocess.decode_shorter
        if not isinstance(sample, Sample):
            return decode(sample, shorter)
        if self.pixels is None or not sample.sha256:
            return decode(sample.path, shorter, sample.sha256)
        return self.pixels.get(
            (sample.sha256, shorter), lambda: decode(sample.path, shorter, sample.sha256)
        )

    def _batch(self, rows: Positions, views: Sequence[Image.Image | None]) -> Batch:
        rows = rows[[view is not None for view in views]]
        pixels = self.preprocess.pixels([view for view in views if view is not None])
        images = self.preprocess.normalize(pixels)
        indices = torch.from_numpy(rows)
        targets = self.targets[indices]
        missing = self.batch_size - len(rows)
        if self.pad and missing:
            images = torch.cat([images, images.new_zeros(missing, *images.shape[1:])])
            images = images.contiguous(memory_format=torch.channels_last)
            blank = targets.new_full((missing, *targets.shape[1:]), UNLABELLED)
            targets = torch.cat([targets, blank])
            indices = torch.cat([indices, indices.new_full((missing,), PADDING)])
        return Batch(images, targets, indices)


def _chunks(rows: Positions, size: int, count: int) -> list[Positions]:
    return [rows[start : start + size] for start in range(0, count * size, size)]


def _key(sample: Sample | Readable, row: int) -> int:
    """Return a number that stays with a sample when others are added, renamed or reordered."""
    if not isinstance(sample, Sample):
        return row
    return int(hashlib.sha256(os.fsencode(sample.identity)).hexdigest(), 16)
