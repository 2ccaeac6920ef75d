"""Augmentation: named transforms, RandAugment, and the presets."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from graft.data.preprocess import Preprocess
from graft.data.reduction import resize, whole_size
from graft.data.transforms import (
    FILL,
    ColorJitter,
    Cutout,
    GaussianBlur,
    Grayscale,
    HorizontalFlip,
    RandomErasing,
    RandomResizedCrop,
    Rotation,
    Transform,
    VerticalFlip,
    brightened,
    contrasted,
    rotated,
    saturated,
)
from graft.errors import RecipeError, nearest

STRONGEST = 30

# strength runs from -1 to 1: the sign is drawn, the size is magnitude / STRONGEST.
_Operation = Callable[[Image.Image, float], Image.Image]


def sheared(image: Image.Image, *, x: float = 0, y: float = 0) -> Image.Image:
    """Slant an image about its middle by angles in degrees, empty corners filled."""
    # Sums and quotients as torchvision forms them, which keeps the last bit the same.
    along_x = math.tan(math.radians(x))
    along_y = math.sin(math.radians(y)) / math.cos(math.radians(y))
    middle_x, middle_y = image.width / 2, image.height / 2
    left = middle_x - middle_x - along_x * middle_y
    top = middle_y - along_y * middle_x - middle_y
    # Where each pixel comes from; only one of the angles is ever given, so they do not multiply.
    back = (1, along_x, left, along_y, 1, top)
    return _moved(image, back)


def translated(image: Image.Image, *, x: float = 0, y: float = 0) -> Image.Image:
    """Move an image by shares of its size in whole pixels, what is left empty filled."""
    return _moved(image, (1, 0, -round(x * image.width), 0, 1, -round(y * image.height)))


def _moved(image: Image.Image, back: tuple[float, ...]) -> Image.Image:
    bilinear = Image.Resampling.BILINEAR
    return image.transform(image.size, Image.Transform.AFFINE, back, bilinear, fillcolor=FILL)


OPERATIONS: dict[str, _Operation] = {
    "identity": lambda image, strength: image,
    "shear-x": lambda image, strength: sheared(image, x=17 * strength),
    "shear-y": lambda image, strength: sheared(image, y=17 * strength),
    "translate-x": lambda image, strength: translated(image, x=0.45 * strength),
    "translate-y": lambda image, strength: translated(image, y=0.45 * strength),
    "rotate": lambda image, strength: rotated(image, 30 * strength),
    "brightness": lambda image, strength: brightened(image, 1 + 0.9 * strength),
    "color": lambda image, strength: saturated(image, 1 + 0.9 * strength),
    "contrast": lambda image, strength: contrasted(image, 1 + 0.9 * strength),
    "sharpness": lambda image, strength: ImageEnhance.Sharpness(image).enhance(1 + 0.9 * strength),
    "posterize": lambda image, strength: ImageOps.posterize(image, 8 - round(4 * abs(strength))),
    "solarize": lambda image, strength: ImageOps.solarize(image, round(255 * (1 - abs(strength)))),
    "autocontrast": lambda image, strength: ImageOps.autocontrast(image),
    "equalize": lambda image, strength: ImageOps.equalize(image),
}


@dataclass(frozen=True)
class RandAugment:
    """Apply randomly chosen operations (Cubuk et al., arXiv:1909.13719).

    Args:
        operations: How many are drawn, with replacement.
        magnitude: How strong they are, 0 to 30.

    Raises:
        RecipeError: A value is out of range.

    Example:
        >>> changed = RandAugment(2, 9).apply(Image.new("RGB", (32, 32)), np.random.default_rng(0))
        >>> changed.size
        (32, 32)
    """

    operations: int = 2
    magnitude: float = 9

    def __post_init__(self) -> None:
        if self.operations < 1 or not 0 <= self.magnitude <= STRONGEST:
            raise RecipeError(
                f"{self} is out of range.",
                f"Give at least 1 operation and a magnitude of 0 to {STRONGEST}.",
            )

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the changed image."""
        names = list(OPERATIONS)
        for choice in rng.integers(len(names), size=int(self.operations)):
            sign = 1 if rng.random() < 0.5 else -1
            image = OPERATIONS[names[choice]](image, sign * self.magnitude / STRONGEST)
        return image


TRANSFORMS: dict[str, Callable[..., Transform]] = {
    "crop": RandomResizedCrop,
    "hflip": HorizontalFlip,
    "vflip": VerticalFlip,
    "rotation": Rotation,
    "jitter": ColorJitter,
    "grayscale": Grayscale,
    "blur": GaussianBlur,
    "erasing": RandomErasing,
    "cutout": Cutout,
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
        transforms: The changes. A `RandomResizedCrop` in the first place frames the image, in
            the place of the clean view's resize and crop; everything else, and the crop too where
            the clean view is letterboxed, works on the framed image.

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
            image: A decoded RGB image of any size, perhaps reduced.
            preprocess: The input the network expects.
            rng: The only source of chance.
        """
        first, *others = self.transforms
        if isinstance(first, RandomResizedCrop) and preprocess.crop != "letterbox":
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
