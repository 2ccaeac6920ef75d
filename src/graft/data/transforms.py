"""Random changes to a training image, each a small value with `apply(image, rng)`.

All chance comes from the generator that is passed in, never from a global one, so a sample's
augmentation depends on its seed and on nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from graft.errors import RecipeError

# Where a turned image leaves corners empty: close to the mean of natural images, so that after
# normalisation the corners are nearly zero.
FILL = (124, 116, 104)


class Transform(Protocol):
    """A random change of one image."""

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return a changed copy of an RGB image, of the same size."""
        ...


@dataclass(frozen=True)
class RandomResizedCrop:
    """Show a random part of the image, scaled up (Szegedy et al., arXiv:1409.4842).

    Args:
        min_scale: Smallest share of the area shown, in (0, 1].
        max_scale: Largest share of the area shown, in (0, 1].
        max_ratio: Strongest change of the proportions, at least 1.

    Example:
        >>> crop = RandomResizedCrop(min_scale=0.25)
        >>> crop.apply(Image.new("RGB", (64, 48)), np.random.default_rng(0)).size
        (64, 48)
    """

    min_scale: float = 0.35
    max_scale: float = 1.0
    max_ratio: float = 4 / 3

    def __post_init__(self) -> None:
        _require(self, 0 < self.min_scale <= self.max_scale <= 1 <= self.max_ratio)

    def box(self, width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """Draw the part to show: left, top, right, bottom in pixels."""
        for _ in range(10):
            area = width * height * rng.uniform(self.min_scale, self.max_scale)
            ratio = math.exp(rng.uniform(-1, 1) * math.log(self.max_ratio))
            part_width = round(math.sqrt(area * ratio))
            part_height = round(math.sqrt(area / ratio))
            if 0 < part_width <= width and 0 < part_height <= height:
                left = int(rng.integers(width - part_width + 1))
                top = int(rng.integers(height - part_height + 1))
                return (left, top, left + part_width, top + part_height)
        side = min(width, height)  # a very long image: its middle
        left, top = (width - side) // 2, (height - side) // 2
        return (left, top, left + side, top + side)

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the drawn part at the size of the whole."""
        box = self.box(*image.size, rng)
        return image.resize(image.size, Image.Resampling.BILINEAR, box=box)


@dataclass(frozen=True)
class HorizontalFlip:
    """Mirror left and right with probability `p`.

    Example:
        >>> flip = HorizontalFlip(p=1)
        >>> image = Image.fromarray(np.array([[[1, 1, 1], [9, 9, 9]]], dtype=np.uint8))
        >>> flip.apply(image, np.random.default_rng(0)).getpixel((0, 0))
        (9, 9, 9)
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        _require(self, 0 <= self.p <= 1)

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the image or its mirror image."""
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < self.p else image


@dataclass(frozen=True)
class VerticalFlip:
    """Turn upside down by mirroring with probability `p`: for views from above or a microscope."""

    p: float = 0.5

    def __post_init__(self) -> None:
        _require(self, 0 <= self.p <= 1)

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the image or its mirror image."""
        return image.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if rng.random() < self.p else image


@dataclass(frozen=True)
class Rotation:
    """Turn about the middle by up to `degrees` either way."""

    degrees: float = 15

    def __post_init__(self) -> None:
        _require(self, 0 <= self.degrees <= 180)

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the turned image, empty corners filled."""
        angle = rng.uniform(-self.degrees, self.degrees)
        return rotated(image, angle)


@dataclass(frozen=True)
class ColorJitter:
    """Change brightness, contrast, saturation and hue, in random order.

    Args:
        brightness: Factor drawn from 1 - value to 1 + value, 0 to 1.
        contrast: As brightness.
        saturation: As brightness.
        hue: Share of the colour circle, 0 to 0.5.
    """

    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.3
    hue: float = 0.05

    def __post_init__(self) -> None:
        _require(self, max(self.brightness, self.contrast, self.saturation, self.hue * 2) <= 1)
        _require(self, min(self.brightness, self.contrast, self.saturation, self.hue) >= 0)

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the recoloured image."""
        changes: tuple[tuple[Callable[[Image.Image, float], Image.Image], float], ...] = (
            (brightened, 1 + rng.uniform(-1, 1) * self.brightness),
            (contrasted, 1 + rng.uniform(-1, 1) * self.contrast),
            (saturated, 1 + rng.uniform(-1, 1) * self.saturation),
            (hue_turned, rng.uniform(-1, 1) * self.hue),
        )
        for position in rng.permutation(len(changes)):
            change, amount = changes[position]
            image = change(image, amount)
        return image


@dataclass(frozen=True)
class Grayscale:
    """Take the colour away with probability `p`."""

    p: float = 0.1

    def __post_init__(self) -> None:
        _require(self, 0 <= self.p <= 1)

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the image, or its luminance in all three channels."""
        return image.convert("L").convert("RGB") if rng.random() < self.p else image


@dataclass(frozen=True)
class GaussianBlur:
    """Blur with probability `p` by a radius of up to `max_sigma` pixels."""

    p: float = 0.2
    max_sigma: float = 2.0

    def __post_init__(self) -> None:
        _require(self, 0 <= self.p <= 1 and self.max_sigma > 0)

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the image, blurred or as it is."""
        blurred = rng.random() < self.p
        sigma = rng.uniform(0.1, self.max_sigma)
        return image.filter(ImageFilter.GaussianBlur(sigma)) if blurred else image


@dataclass(frozen=True)
class RandomErasing:
    """Replace a rectangle by noise with probability `p` (Zhong et al., arXiv:1708.04896).

    Args:
        p: Probability of erasing.
        min_scale: Smallest share of the area erased.
        max_scale: Largest share of the area erased.
        noise: 0 fills with the mean colour of photographs instead, which is about 0 for a network.
    """

    p: float = 0.25
    min_scale: float = 0.02
    max_scale: float = 0.33
    noise: int = 1

    def __post_init__(self) -> None:
        _require(self, 0 <= self.p <= 1 and 0 < self.min_scale <= self.max_scale <= 1)

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the image with or without the rectangle."""
        if rng.random() >= self.p:
            return image
        part = RandomResizedCrop(self.min_scale, self.max_scale, max_ratio=3.3)
        left, top, right, bottom = part.box(*image.size, rng)
        erased = image.copy()
        if self.noise:
            noise = rng.integers(256, size=(bottom - top, right - left, 3), dtype=np.uint8)
            erased.paste(Image.fromarray(noise), (left, top))
        else:
            erased.paste(FILL, (left, top, right, bottom))
        return erased


@dataclass(frozen=True)
class Cutout:
    """Fill squares about random points with the mean colour (DeVries et al., arXiv:1708.04552).

    Args:
        length: Side of a square in pixels; what lies outside the image is cut off.
        holes: Number of squares.

    Example:
        >>> Cutout(4).apply(Image.new("RGB", (2, 2)), np.random.default_rng(0)).getpixel((0, 0))
        (124, 116, 104)
    """

    length: int = 16
    holes: int = 1

    def __post_init__(self) -> None:
        _require(self, self.length >= 1 and self.holes >= 1)

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the image with the squares filled."""
        cut, half = image.copy(), self.length // 2
        for _ in range(int(self.holes)):
            x, y = int(rng.integers(image.width)) - half, int(rng.integers(image.height)) - half
            right, bottom = x + int(self.length), y + int(self.length)
            cut.paste(
                FILL, (max(0, x), max(0, y), min(image.width, right), min(image.height, bottom))
            )
        return cut


def rotated(image: Image.Image, degrees: float) -> Image.Image:
    """Turn an image counter-clockwise about its middle, empty corners filled."""
    return image.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=FILL)


def brightened(image: Image.Image, factor: float) -> Image.Image:
    """Multiply the brightness: 0 is black, 1 the image as it is."""
    return ImageEnhance.Brightness(image).enhance(factor)


def contrasted(image: Image.Image, factor: float) -> Image.Image:
    """Multiply the contrast: 0 is gray, 1 the image as it is."""
    return ImageEnhance.Contrast(image).enhance(factor)


def saturated(image: Image.Image, factor: float) -> Image.Image:
    """Multiply the saturation: 0 is black and white, 1 the image as it is."""
    return ImageEnhance.Color(image).enhance(factor)


def hue_turned(image: Image.Image, share: float) -> Image.Image:
    """Turn all hues by a share of the colour circle, -0.5 to 0.5."""
    hue, saturation, value = image.convert("HSV").split()
    turn = int(share * 255)
    hue = hue.point([(given + turn) % 256 for given in range(256)])
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


def _require(transform: Transform, holds: bool) -> None:
    if holds:
        return
    ranges = ", ".join(f"{field.name} (usually {field.default})" for field in fields(transform))  # type: ignore[arg-type]
    raise RecipeError(f"{transform} is out of range.", f"It takes {ranges}.")
