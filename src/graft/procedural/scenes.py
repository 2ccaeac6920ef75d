"""Images put together from formulas: a shape in front of a ground, in light, partly covered.

What is in an image is known, so a network can be taught to see it: the shape and the family it
belongs to, the texture and the palette of the shape and of the ground. But for the family, which
helps a network to begin with, each label is drawn independently, so that none depends on another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from graft.procedural.canvas import LEVELS, Layer, Palette, Placement, Shape
from graft.procedural.shapes import Fractal, Rosette, Superformula, Waves
from graft.procedural.strokes import CHARACTERS, Glyph, Strokes
from graft.procedural.textures import Texture

UNSEEN = -1
"""The label of what an image does not show."""

FINER = 2
"""Shapes are drawn so many times larger, and shrunk, so that their edges are smooth."""

FAMILIES = (Waves, Superformula, Rosette, Fractal, Strokes, Glyph)
DRAWN: tuple[Callable[[np.random.Generator], Shape], ...] = (
    Waves.category,
    Superformula.category,
    Rosette.category,
    Fractal.category,
    Strokes.category,
)
"""Draws a category of each family but the last, whose categories are given."""

Colours = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class GeneratedImage:
    """An image and what is in it.

    Args:
        pixels: uint8, shape (size, size, 3).
        labels: For each of `Scenes.factors`, in order, the category, or `UNSEEN`.
    """

    pixels: NDArray[np.uint8]
    labels: tuple[int, ...]


@dataclass(frozen=True)
class Scenes:
    """An endless, numbered series of images; image i depends on (seed, i) alone.

    Args:
        size: Side of the images in pixels.
        seed: Of the categories and of the images.
        waves: Categories of wave outlines.
        superformulas: Categories of superformula outlines.
        rosettes: Categories of rosettes.
        fractals: Categories of fractals.
        strokes: Categories of characters made of strokes.
        glyphs: Whether printed characters are among the shapes.
        textures: Categories of textures.
        palettes: Categories of palettes.

    Example:
        >>> scenes = Scenes(size=32, fractals=2, textures=4)
        >>> scenes.image(7).pixels.shape
        (32, 32, 3)
        >>> list(scenes.factors)
        ['family', 'shape', 'texture', 'ground', 'palette', 'ground_palette']
    """

    size: int = 64
    seed: int = 0
    waves: int = 80
    superformulas: int = 60
    rosettes: int = 100
    fractals: int = 100
    strokes: int = 100
    glyphs: bool = True
    textures: int = 64
    palettes: int = 32

    @cached_property
    def factors(self) -> dict[str, int]:
        """How many categories each label has."""
        return {
            "family": len(FAMILIES),
            "shape": len(self._shapes),
            "texture": self.textures,
            "ground": self.textures,
            "palette": self.palettes,
            "ground_palette": self.palettes,
        }

    def image(self, number: int) -> GeneratedImage:
        """Return one image of the series."""
        rng = np.random.default_rng((self.seed, 1, number))
        ground_texture, texture = (int(rng.integers(self.textures)) for _ in range(2))
        ground_palette, palette = (int(rng.integers(self.palettes)) for _ in range(2))
        plain = rng.random() < 0.15
        ground = self._surface(rng, ground_texture, ground_palette, flat=plain)
        if rng.random() < 0.2:
            ground = self._clutter(rng, ground)
        kind = int(rng.integers(len(self._shapes)))
        shape = self._shapes[kind]
        layer = self._draw(rng, shape)
        flat = not shape.solid or rng.random() < 0.15
        surface = self._surface(rng, texture, palette, flat=flat, tone=layer.tone)
        image = _over(_shadowed(rng, ground, layer), surface, layer.cover)
        if rng.random() < 0.15:
            image = self._clutter(rng, image, scale=(0.15, 0.3))
        image *= _light(rng, self.size)
        grey = rng.random() < 0.1
        if grey:
            image = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
        labels = (
            FAMILIES.index(type(shape)),
            kind,
            UNSEEN if flat else texture,
            UNSEEN if plain else ground_texture,
            UNSEEN if grey else palette,
            UNSEEN if grey else ground_palette,
        )
        return GeneratedImage(_worn(rng, image), labels)

    @cached_property
    def _shapes(self) -> tuple[Shape, ...]:
        counts = (self.waves, self.superformulas, self.rosettes, self.fractals, self.strokes)
        drawn: list[Shape] = [
            draw(np.random.default_rng((self.seed, 2, kind, index)))
            for kind, (draw, count) in enumerate(zip(DRAWN, counts, strict=True))
            for index in range(count)
        ]
        printed: list[Shape] = [Glyph(c) for c in CHARACTERS] if self.glyphs else []
        return (*drawn, *printed)

    @cached_property
    def _textures(self) -> tuple[Texture, ...]:
        return tuple(
            Texture.category(np.random.default_rng((self.seed, 3, index)))
            for index in range(self.textures)
        )

    @cached_property
    def _palettes(self) -> tuple[Palette, ...]:
        return tuple(
            Palette.category(np.random.default_rng((self.seed, 4, index)))
            for index in range(self.palettes)
        )

    def _draw(
        self, rng: np.random.Generator, shape: Shape, scale: tuple[float, float] = (0.55, 0.95)
    ) -> Layer:
        placement = Placement.draw(rng, self.size * FINER, turn=shape.turn, scale=scale)
        layer = shape.draw(rng, placement)
        return Layer(layer.cover.reduce(FINER), layer.tone.reduce(FINER))

    def _surface(
        self,
        rng: np.random.Generator,
        texture: int,
        palette: int,
        *,
        flat: bool,
        tone: Image.Image | None = None,
    ) -> Colours:
        """Return colours (size, size, 3): a texture in a palette, lighter where the tone is."""
        colours = self._palettes[palette].colours(rng)
        if flat:
            values: Colours = np.full((self.size, self.size), rng.uniform(0.1, 0.9))
        else:
            depth = rng.uniform(0.4, 1.0)
            values = (self._textures[texture].window(rng, self.size) - 0.5) * depth + 0.5
        if tone is not None:
            values = values * 0.6 + np.asarray(tone, np.float32) * (0.7 / 255) - 0.15
        return colours[(values * (LEVELS - 1)).clip(0, LEVELS - 1).astype(np.uint8)]

    def _clutter(
        self, rng: np.random.Generator, image: Colours, scale: tuple[float, float] = (0.2, 0.6)
    ) -> Colours:
        """Put one or two shapes of any kind on an image, which nobody is asked about."""
        for _ in range(int(rng.integers(1, 3))):
            shape = self._shapes[int(rng.integers(len(self._shapes)))]
            layer = self._draw(rng, shape, scale)
            texture, palette = int(rng.integers(self.textures)), int(rng.integers(self.palettes))
            flat = bool(rng.random() < 0.5)
            surface = self._surface(rng, texture, palette, flat=flat, tone=layer.tone)
            image = _over(image, surface, layer.cover)
        return image


def _over(below: Colours, above: Colours, cover: Image.Image) -> Colours:
    share = np.asarray(cover, np.float32)[:, :, None] / 255
    return below + share * (above - below)


def _shadowed(rng: np.random.Generator, ground: Colours, layer: Layer) -> Colours:
    """Return the ground under a shape's shadow, in half of all images."""
    if rng.random() < 0.5:
        return ground
    shift = rng.integers(-4, 5, 2)
    cast = layer.cover.filter(ImageFilter.BoxBlur(2))
    shade = np.roll(np.asarray(cast, np.float32), shift, (0, 1))[:, :, None] / 255
    return ground * (1 - rng.uniform(0.2, 0.6) * shade)


def _light(rng: np.random.Generator, size: int) -> Colours:
    """Return how bright each pixel is lit, shape (size, size, 1): a slope in any direction."""
    angle, slope = rng.uniform(-np.pi, np.pi), rng.uniform(0, 0.5)
    side = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    field = np.cos(angle) * side[None, :] + np.sin(angle) * side[:, None]
    return np.asarray((1 + slope * field)[:, :, None] * rng.uniform(0.7, 1.1), np.float32)


def _worn(rng: np.random.Generator, image: Colours) -> NDArray[np.uint8]:
    """Return the image as a poor camera would: blurred, of low resolution, or noisy."""
    size = len(image)
    if rng.random() < 0.2:
        image = image + rng.normal(0, rng.uniform(0.01, 0.08), image.shape)
    taken = Image.fromarray((image * 255).clip(0, 255).astype(np.uint8))
    if rng.random() < 0.35:
        low = int(size * np.exp(rng.uniform(np.log(0.2), np.log(0.9))))
        small = taken.resize((max(low, 4),) * 2, Image.Resampling.BOX)
        taken = small.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(taken)
