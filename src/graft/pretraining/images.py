"""Where the images of pre-training come from: a formula, or a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from graft.data.augment import Augmentation
from graft.data.loader import Batch, Batches, Loader
from graft.data.prefetch import Positions, made_by_threads
from graft.data.preprocess import Preprocess
from graft.machine import available_cores
from graft.pretraining.views import SECOND, pairs
from graft.procedural import Scenes
from graft.tasks import Classification

Drawing: TypeAlias = tuple[list[NDArray[np.uint8]], tuple[int, ...]]
"""The views of an image, each (size, size, 3), and its labels."""

HELD_OUT = 1 << 40
"""Number of the first generated image that no epoch shows."""


class Images(Protocol):
    """Batches to learn from, the same for any number of workers.

    A batch's targets are int64 of shape (N, factors), -1 where a factor cannot be seen. Where there
    are two views of every image, the second is the batch's stream `SECOND`.
    """

    factors: dict[str, int]
    """How many categories each target has; empty where nothing is known of the images."""

    streams: tuple[str, ...]
    """Names of the streams that its batches carry."""

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""

    def epoch(self, number: int, *, start: int = 0) -> Batches:
        """Yield the batches of an epoch, from 1, but for so many at its start."""

    def held_out(self, count: int) -> Iterator[Batch]:
        """Yield so many clean images to measure on: always the same, best none of an epoch's."""


class GeneratedImages:
    """Images from formulas: each epoch shows new ones.

    Args:
        scenes: The series.
        preprocess: The input the network expects; the scenes have its size.
        count: Images of an epoch.
        batch_size: Images of a batch; what is left over of an epoch is not shown.
        augmentation: Random changes; None shows the images as they are.
        views: Views of each image, 1 or 2.
        workers: Threads that draw, in turns with the network unless there is an accelerator; None
            takes one per core.

    Example:
        >>> scenes = Scenes(size=32, fractals=2, textures=4)
        >>> images = GeneratedImages(scenes, Preprocess(32), 8, batch_size=4, workers=0)
        >>> [tuple(batch.targets.shape) for batch in images.epoch(1)]
        [(4, 6), (4, 6)]
    """

    def __init__(
        self,
        scenes: Scenes,
        preprocess: Preprocess,
        count: int,
        *,
        batch_size: int,
        augmentation: Augmentation | None = None,
        views: int = 1,
        workers: int | None = None,
    ) -> None:
        self.scenes, self.preprocess = scenes, preprocess
        self.count, self.batch_size = count, batch_size
        self.augmentation, self.views = augmentation, views
        self.workers = max(1, available_cores() if workers is None else workers)
        self.overlap = torch.accelerator.is_available()
        self.factors = scenes.factors
        self.streams: tuple[str, ...] = (SECOND,) if views == 2 else ()

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return self.count // self.batch_size

    def epoch(self, number: int, *, start: int = 0) -> Batches:
        """Yield the batches of an epoch; closing the generator stops the threads."""
        shown = np.arange(start * self.batch_size, len(self) * self.batch_size)
        yield from self._batches((number - 1) * self.count + shown, self.augmentation, self.views)

    def held_out(self, count: int) -> Batches:
        """Yield clean images that no epoch shows."""
        yield from self._batches(HELD_OUT + np.arange(count), None, 1)

    def _batches(
        self, numbers: Positions, augmentation: Augmentation | None, views: int
    ) -> Batches:
        cuts = range(self.batch_size, len(numbers), self.batch_size)
        draw = partial(self._draw, augmentation=augmentation, views=views)
        threads = made_by_threads(
            np.split(numbers, cuts), draw, workers=self.workers, overlap=self.overlap
        )
        with closing(threads):
            for which, drawn in threads:
                pixels = zip(*(seen for seen, _ in drawn), strict=True)
                stacks = (torch.from_numpy(np.stack(view)).permute(0, 3, 1, 2) for view in pixels)
                first, *others = (self.preprocess.normalize(stack) for stack in stacks)
                targets = torch.tensor([labels for _, labels in drawn])
                indices = torch.from_numpy(which)
                streams = [Batch(other, targets, indices) for other in others]
                named = dict(zip(self.streams, streams, strict=False))
                yield Batch(first, targets, indices, named)

    def _draw(self, number: int, augmentation: Augmentation | None, views: int) -> Drawing:
        drawn = self.scenes.image(number)
        if augmentation is None:
            return [drawn.pixels] * views, drawn.labels
        image = Image.fromarray(drawn.pixels)
        rngs = (np.random.default_rng((self.scenes.seed, 5, number, v)) for v in range(views))
        seen = [np.asarray(augmentation.view(image, self.preprocess, rng)) for rng in rngs]
        return seen, drawn.labels


class FolderImages:
    """The images of a folder, each epoch in another order.

    Args:
        loader: Of the training images, augmented.
        clean: Of the images to measure on, not augmented.
        views: 1, or 2 for pairs of augmented views.
    """

    def __init__(self, loader: Loader, clean: Loader, *, views: int = 1) -> None:
        self.loader, self.clean, self.views = loader, clean, views
        task = loader.task
        self.factors = {"class": task.outputs} if isinstance(task, Classification) else {}
        self.streams: tuple[str, ...] = (SECOND,) if views == 2 else ()

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return len(self.loader)

    def epoch(self, number: int, *, start: int = 0) -> Batches:
        """Yield the batches of an epoch."""
        if self.views == 2:
            batches = pairs(self.loader, number - 1, start=start)
        else:
            batches = self.loader.epoch(number - 1, start=start)
        for batch in batches:
            yield replace(batch, targets=batch.targets[:, None])

    def held_out(self, count: int) -> Iterator[Batch]:
        """Yield clean images: the first that the loader for them has."""
        for batch in self.clean.some(range(min(count, len(self.clean.samples))), 0):
            yield replace(batch, targets=batch.targets[:, None])
