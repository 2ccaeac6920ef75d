"""RandAugment: a few operations of one strength, drawn anew for each picture."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from graft.data.transforms import FILL, brightened, contrasted, rotated, saturated
from graft.errors import RecipeError

STRONGEST = 30

# strength runs from -1 to 1: the sign is drawn, the size is magnitude / STRONGEST.
_Operation = Callable[[Image.Image, float], Image.Image]


def sheared(image: Image.Image, *, x: float = 0, y: float = 0) -> Image.Image:
    """Slant a picture about its middle by angles in degrees, empty corners filled."""
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
    """Move a picture by shares of its size in whole pixels, what is left empty filled."""
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
        """Return the changed picture."""
        names = list(OPERATIONS)
        for choice in rng.integers(len(names), size=int(self.operations)):
            sign = 1 if rng.random() < 0.5 else -1
            image = OPERATIONS[names[choice]](image, sign * self.magnitude / STRONGEST)
        return image
