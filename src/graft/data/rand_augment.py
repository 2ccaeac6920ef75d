"""RandAugment: a few operations of one strength, drawn anew for each picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from graft.data.transforms import FILL
from graft.errors import RecipeError

STRONGEST = 30

# strength runs from -1 to 1: the sign is drawn, the size is magnitude / STRONGEST.
_Operation = Callable[[Image.Image, float], Image.Image]


def _affine(
    image: Image.Image, *, x: float = 0, y: float = 0, shear_x: float = 0, shear_y: float = 0
) -> Image.Image:
    width, height = image.size
    moved: Image.Image = F.affine(
        image,
        angle=0.0,
        translate=[round(x * width), round(y * height)],
        scale=1.0,
        shear=[shear_x, shear_y],
        interpolation=InterpolationMode.BILINEAR,
        fill=list(FILL),
    )
    return moved


OPERATIONS: dict[str, _Operation] = {
    "identity": lambda image, strength: image,
    "shear-x": lambda image, strength: _affine(image, shear_x=17 * strength),
    "shear-y": lambda image, strength: _affine(image, shear_y=17 * strength),
    "translate-x": lambda image, strength: _affine(image, x=0.45 * strength),
    "translate-y": lambda image, strength: _affine(image, y=0.45 * strength),
    "rotate": lambda image, strength: F.rotate(
        image, 30 * strength, InterpolationMode.BILINEAR, fill=list(FILL)
    ),
    "brightness": lambda image, strength: F.adjust_brightness(image, 1 + 0.9 * strength),
    "color": lambda image, strength: F.adjust_saturation(image, 1 + 0.9 * strength),
    "contrast": lambda image, strength: F.adjust_contrast(image, 1 + 0.9 * strength),
    "sharpness": lambda image, strength: F.adjust_sharpness(image, 1 + 0.9 * strength),
    "posterize": lambda image, strength: F.posterize(image, 8 - round(4 * abs(strength))),
    "solarize": lambda image, strength: F.solarize(image, round(255 * (1 - abs(strength)))),
    "autocontrast": lambda image, strength: F.autocontrast(image),
    "equalize": lambda image, strength: F.equalize(image),
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
