"""Where the pictures of pre-training come from: a formula, or a folder."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from graft.data.augment import Augmentation
from graft.data.cores import available_cores
from graft.data.loader import Loader
from graft.data.preprocess import Preprocess
from graft.pretraining.views import pairs
from graft.procedural import Scenes

Drawing: TypeAlias = tuple[list[NDArray[np.uint8]], tuple[int, ...]]
"""The views of a picture, each (size, size, 3), and its labels."""

HELD_OUT = 1 << 40
"""Number of the first generated picture that no epoch shows."""


@dataclass(frozen=True)
class PretextBatch:
    """One or two views of each of N pictures, and what is in them.

    Args:
        views: Each float32 of shape (N, channels, H, W), normalised, channels-last.
        labels: int64 of shape (N, factors), -1 where a factor cannot be seen.
    """

    views: tuple[Tensor, ...]
    labels: Tensor

    def to(self, device: torch.device | str) -> PretextBatch:
        """Return the batch on `device`."""
        views = tuple(view.to(device, non_blocking=True) for view in self.views)
        return PretextBatch(views, self.labels.to(device, non_blocking=True))

    def __len__(self) -> int:
        return len(self.labels)


class Pictures(Protocol):
    """Batches to learn from, the same for any number of workers."""

    factors: dict[str, int]
    """How many categories each label has; empty where nothing is known of the pictures."""

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""

    def epoch(self, number: int) -> Generator[PretextBatch, None, None]:
        """Yield the batches of an epoch, from 0."""

    def held_out(self, count: int) -> Iterator[PretextBatch]:
        """Yield so many clean pictures to measure on: always the same, best none of an epoch's."""


class GeneratedPictures:
    """Pictures from formulas: each epoch shows new ones.

    Args:
        scenes: The series.
        preprocess: The input the network expects; the scenes have its size.
        count: Pictures of an epoch.
        batch_size: Pictures of a batch; what is left over of an epoch is not shown.
        augmentation: Random changes; None shows the pictures as they are.
        views: Views of each picture, 1 or 2.
        workers: Processes that draw; 0 draws between the steps, None leaves one core to the
            network.

    Example:
        >>> scenes = Scenes(size=32, fractals=2, textures=4)
        >>> pictures = GeneratedPictures(scenes, Preprocess(32), 8, batch_size=4, workers=0)
        >>> [tuple(batch.labels.shape) for batch in pictures.epoch(0)]
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
        self.workers = available_cores() - 1 if workers is None else workers
        self.factors = scenes.factors

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return self.count // self.batch_size

    def epoch(self, number: int) -> Generator[PretextBatch, None, None]:
        """Yield the batches of an epoch."""
        start = number * self.count
        drawn = _Drawn(self.scenes, range(start, start + self.count), self.augmentation, self.views)
        return self._batches(drawn, whole=True)

    def held_out(self, count: int) -> Iterator[PretextBatch]:
        """Yield clean pictures that no epoch shows."""
        return self._batches(_Drawn(self.scenes, range(HELD_OUT, HELD_OUT + count), None, 1))

    def _batches(
        self, drawn: _Drawn, *, whole: bool = False
    ) -> Generator[PretextBatch, None, None]:
        loader = DataLoader(
            drawn,
            self.batch_size,
            num_workers=self.workers,
            drop_last=whole,
            collate_fn=_stack,
            worker_init_fn=_alone if self.workers else None,
            prefetch_factor=4 if self.workers else None,
        )
        for pixels, labels in loader:
            views = tuple(self.preprocess.normalize(view.permute(0, 3, 1, 2)) for view in pixels)
            yield PretextBatch(views, labels)


class FolderPictures:
    """The pictures of a folder, each epoch in another order.

    Args:
        loader: Of the training pictures, augmented.
        clean: Of the pictures to measure on, not augmented.
        views: 1, or 2 for pairs of augmented views.
    """

    def __init__(self, loader: Loader, clean: Loader, *, views: int = 1) -> None:
        self.loader, self.clean, self.views = loader, clean, views
        self.factors = {"class": len(loader.classes)} if loader.classes else {}

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return len(self.loader)

    def epoch(self, number: int) -> Generator[PretextBatch, None, None]:
        """Yield the batches of an epoch."""
        if self.views == 2:
            for pair in pairs(self.loader, number):
                labels = self.loader.labels[pair.indices]
                yield PretextBatch((pair.first, pair.second), labels[:, None])
            return
        for batch in self.loader.epoch(number):
            yield PretextBatch((batch.images,), batch.labels[:, None])

    def held_out(self, count: int) -> Iterator[PretextBatch]:
        """Yield clean pictures: the first that the loader for them has."""
        for batch in self.clean.some(range(min(count, len(self.clean.samples))), 0):
            yield PretextBatch((batch.images,), batch.labels[:, None])


class _Drawn(Dataset[Drawing]):
    """The views of numbered pictures, drawn when they are asked for."""

    def __init__(
        self, scenes: Scenes, numbers: Sequence[int], augmentation: Augmentation | None, views: int
    ) -> None:
        self.scenes, self.numbers = scenes, numbers
        self.augmentation, self.views = augmentation, views
        self.preprocess = Preprocess(scenes.size)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Drawing:
        number = self.numbers[index]
        drawn = self.scenes.picture(number)
        if self.augmentation is None:
            return [drawn.pixels] * self.views, drawn.labels
        picture = Image.fromarray(drawn.pixels)
        rngs = (np.random.default_rng((self.scenes.seed, 5, number, v)) for v in range(self.views))
        seen = [np.asarray(self.augmentation.view(picture, self.preprocess, rng)) for rng in rngs]
        return seen, drawn.labels


def _stack(drawn: Sequence[Drawing]) -> tuple[list[Tensor], Tensor]:
    views = zip(*(seen for seen, _ in drawn), strict=True)
    return (
        [torch.from_numpy(np.stack(view)) for view in views],
        torch.tensor([labels for _, labels in drawn]),
    )


def _alone(_worker: int) -> None:
    """Keep a process that draws to one core, and let its parent decide when it ends.

    Ctrl-C and a service manager's SIGTERM reach the whole group: a drawing process that died of
    them would look like a failure to the parent, just when that puts things in order.
    """
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
