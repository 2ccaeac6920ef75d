"""Pairs of random views of the same images: what a self-supervised loss compares."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np
import torch
from PIL import Image

from graft.data.augment import Augmentation
from graft.data.loader import Batches, Loader
from graft.data.prefetch import PixelCache
from graft.data.transforms import (
    ColorJitter,
    GaussianBlur,
    Grayscale,
    HorizontalFlip,
    RandomResizedCrop,
    Transform,
)
from graft.errors import DataError, RecipeError


class DecodeOnce(PixelCache):
    """Gives the image that one view asked for to the next that asks, and lets go of it.

    In the place of a loader's pixel cache, it spares every second decoding of a pair of views in
    the memory of a few batches.

    Args:
        beyond: A cache that may keep images for longer.

    Example:
        >>> once, made = DecodeOnce(), []
        >>> for _ in range(4):
        ...     image = once.get("red", lambda: made.append(1) or Image.new("RGB", (1, 1)))
        >>> len(made)
        2
    """

    def __init__(self, beyond: PixelCache | None = None) -> None:
        super().__init__(limit=0)
        self.beyond = beyond
        self._handed: dict[Hashable, Future[Image.Image]] = {}
        self._handing = Lock()

    def __len__(self) -> int:
        """Return the number of images that wait for their other view."""
        return len(self._handed)

    def get(self, key: Hashable, make: Callable[[], Image.Image]) -> Image.Image:
        """Return the image that another view has made or is making, or make it for that view.

        Args:
            key: All that determines the image.
            make: Decodes it; what it raises, both views raise.
        """
        with self._handing:
            handed = self._handed.pop(key, None)
            if handed is None:
                mine = self._handed[key] = Future()
        if handed is not None:
            return handed.result()
        try:
            made = make() if self.beyond is None else self.beyond.get(key, make)
        except BaseException as error:
            mine.set_exception(error)
            raise
        mine.set_result(made)
        return made


SECOND = "second"
"""Name of the stream of second views."""

_PAPER_SIZE = 224  # pixels, for which the paper states its blur


@dataclass(frozen=True)
class RandomApply:
    """Apply a transform with probability `p`.

    Example:
        >>> red, rng = Image.new("RGB", (4, 4), "red"), np.random.default_rng(0)
        >>> RandomApply(Grayscale(p=1), p=0).apply(red, rng).getpixel((0, 0))
        (255, 0, 0)
    """

    transform: Transform
    p: float

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise RecipeError(f"{self} is out of range.", "Give a probability of 0 to 1.")

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the image, changed or as it is."""
        return self.transform.apply(image, rng) if rng.random() < self.p else image


def simclr_augmentation(image_size: int = 224, strength: float = 1.0) -> Augmentation:
    """Return the augmentation of SimCLR: crop, flip, colour jitter, greyscale, blur.

    Args:
        image_size: Shorter side of the network's input in pixels; the blur is in proportion.
        strength: Of the colour jitter, s in the paper: 1 for photographs, 0.5 for tiny images,
            0 where the classes differ by colour.

    Raises:
        RecipeError: The strength is out of range.

    Source:
        Chen et al. 2020, arXiv:2002.05709, appendix A.

    Example:
        >>> augmentation = simclr_augmentation(64, strength=0.5)
        >>> augmentation.transforms[2].transform
        ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
    """
    jitter = ColorJitter(0.8 * strength, 0.8 * strength, 0.8 * strength, 0.2 * strength)
    blur = GaussianBlur(p=0.5, max_sigma=max(0.1, 2 * image_size / _PAPER_SIZE))
    return Augmentation(
        (
            RandomResizedCrop(min_scale=0.2),
            HorizontalFlip(),
            RandomApply(jitter, p=0.8),
            Grayscale(p=0.2),
            blur,
        )
    )


def pairs(loader: Loader, epoch: int, *, start: int = 0) -> Batches:
    """Yield the batches of one epoch, each with a second view of its images as a stream.

    The views are the loader's `2 * epoch` and `2 * epoch + 1`, in the order of `epoch`: like all
    of its views they follow from seed, number and the image's content, so neither workers nor
    an interruption change them. An image with a known hash is decoded once for both.

    Args:
        loader: With an augmentation; without `pad`.
        epoch: From 0.
        start: Batches at the beginning of the epoch to leave out.

    Raises:
        RecipeError: The loader has no augmentation, so its two views would be equal, or it pads.
        DataError: An image can no longer be read.

    Example:
        >>> from graft.data.preprocess import Preprocess
        >>> image = Image.fromarray(np.arange(3072, dtype=np.uint8).reshape(32, 32, 3))
        >>> options = {"batch_size": 2, "augmentation": simclr_augmentation(16)}
        >>> loader = Loader([image] * 3, None, Preprocess(16), **options)
        >>> [(tuple(b.streams[SECOND].inputs.shape), b.indices.tolist()) for b in pairs(loader, 0)]
        [((2, 3, 16, 16), [0, 1]), ((1, 3, 16, 16), [2])]
    """
    if loader.augmentation is None or loader.pad:
        raise RecipeError(
            "Pairs of views need a loader that augments and does not pad.",
            "Give it an augmentation, such as that of SimCLR, and pad=False.",
        )
    shared = copy.copy(loader)
    shared.pixels = DecodeOnce(loader.pixels)
    first, second = (shared.epoch(epoch, view=2 * epoch + which, start=start) for which in (0, 1))
    for one, other in zip(first, second, strict=True):
        if not torch.equal(one.indices, other.indices):
            raise DataError(
                "An image could be read for one of its two views only.",
                "Keep the files in place while they are read.",
            )
        yield replace(one, streams={SECOND: other})
