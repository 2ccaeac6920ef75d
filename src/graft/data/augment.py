"""Augmentation by name: presets, lists, and the random view of a picture that they give."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from graft.data.preprocess import Preprocess
from graft.data.rand_augment import RandAugment
from graft.data.reduction import resize, whole_size
from graft.data.transforms import (
    ColorJitter,
    GaussianBlur,
    Grayscale,
    HorizontalFlip,
    RandomErasing,
    RandomResizedCrop,
    Rotation,
    Transform,
    VerticalFlip,
)
from graft.errors import RecipeError, nearest

TRANSFORMS: dict[str, Callable[..., Transform]] = {
    "crop": RandomResizedCrop,
    "hflip": HorizontalFlip,
    "vflip": VerticalFlip,
    "rotation": Rotation,
    "jitter": ColorJitter,
    "grayscale": Grayscale,
    "blur": GaussianBlur,
    "erasing": RandomErasing,
    "randaugment": RandAugment,
}
PRESETS: dict[str, tuple[Transform, ...]] = {
    "none": (),
    "basic": (RandomResizedCrop(), HorizontalFlip()),
    "strong": (RandomResizedCrop(0.2), HorizontalFlip(), RandAugment(), RandomErasing()),
}


@dataclass(frozen=True)
class Augmentation:
    """Random changes applied in order.

    Args:
        transforms: The changes. A `RandomResizedCrop` in the first place frames the picture, in
            the place of the clean view's resize and crop; everything else works on the framed
            picture.

    Example:
        >>> augmentation = Augmentation((RandomResizedCrop(), HorizontalFlip()))
        >>> rng = np.random.default_rng(0)
        >>> augmentation.view(Image.new("RGB", (500, 375)), Preprocess(224), rng).size
        (224, 224)
    """

    transforms: tuple[Transform, ...]

    def view(
        self, image: Image.Image, preprocess: Preprocess, rng: np.random.Generator
    ) -> Image.Image:
        """Return a random view of `image` at the size that `preprocess` asks for.

        Args:
            image: A decoded RGB picture of any size, perhaps reduced.
            preprocess: The input the network expects.
            rng: The only source of chance.
        """
        first, *others = self.transforms
        if isinstance(first, RandomResizedCrop):
            size = (preprocess.width, preprocess.height)
            view = resize(image, size, preprocess.resample, first.box(*whole_size(image), rng))
        else:
            view = first.apply(preprocess.view(image), rng)
        for transform in others:
            view = transform.apply(view, rng)
        return view


def augmentation(wanted: str | Iterable[str | Transform]) -> Augmentation | None:
    """Build an augmentation from names.

    Args:
        wanted: A preset ("none", "basic", "strong"), names of transforms separated by commas with
            their numbers in parentheses, a mixture of both, or a list of names and transforms.

    Returns:
        The augmentation, or None where nothing is to be changed.

    Raises:
        RecipeError: A name is unknown, or its numbers do not fit.

    Example:
        >>> augmentation("none") is None
        True
        >>> augmentation("hflip,rotation(15)").transforms
        (HorizontalFlip(p=0.5), Rotation(degrees=15))
        >>> augmentation("grayscal")
        Traceback (most recent call last):
        graft.errors.RecipeError: There is no augmentation 'grayscal'. The nearest are 'grayscale'.
    """
    parts = re.split(r",(?![^(]*\))", wanted) if isinstance(wanted, str) else wanted
    transforms = [transform for part in parts for transform in _transforms(part)]
    return Augmentation(tuple(transforms)) if transforms else None


def _transforms(part: str | Transform) -> tuple[Transform, ...]:
    if not isinstance(part, str):
        return (part,)
    match = re.fullmatch(r"\s*([\w-]+)\s*(?:\(([^()]*)\))?\s*", part)
    name, numbers = match.groups() if match else (part, None)
    if name in PRESETS and numbers is None:
        return PRESETS[name]
    if name not in TRANSFORMS:
        near = nearest(name, [*PRESETS, *TRANSFORMS])
        raise RecipeError(f"There is no augmentation '{name}'.", f"The nearest are {near}.")
    try:
        arguments = [_number(text) for text in numbers.split(",")] if numbers else []
        return (TRANSFORMS[name](*arguments),)
    except (TypeError, ValueError) as error:
        raise RecipeError(
            f"The augmentation '{part.strip()}' has numbers that do not fit.",
            f"Without numbers it is {TRANSFORMS[name]()}.",
        ) from error


def _number(text: str) -> Any:
    value = float(text)
    return int(value) if value.is_integer() else value
