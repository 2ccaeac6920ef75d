"""Characters: strokes of a pen in invented scripts, and the printed ones of Pillow's font."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from graft.procedural.canvas import Layer, Placement

POINTS = np.linspace(0, 1, 16)[:, None]


@dataclass(frozen=True, eq=False)
class Strokes:
    """A character.

    Args:
        controls: Control points of its cubic curves, shape (strokes, 4, 2).
    """

    controls: NDArray[np.float64]

    turn = 0.35
    solid = False

    @classmethod
    def category(cls, rng: np.random.Generator) -> Strokes:
        """Draw a category; most strokes go on where the one before ended."""
        controls = rng.uniform(-1, 1, (int(rng.integers(1, 4)), 4, 2))
        for index in range(1, len(controls)):
            if rng.random() < 0.6:
                controls[index, 0] = controls[index - 1, 3]
        low, high = controls.min(axis=(0, 1)), controls.max(axis=(0, 1))
        return cls(2 * (controls - low) / (high - low) - 1)

    def draw(self, rng: np.random.Generator, placement: Placement) -> Layer:
        """Draw one, with an unsteady hand and any pen."""
        layer = Layer.blank(placement.size)
        pen = rng.uniform(0.08, 0.3) * placement.unit
        for stroke in self.controls + rng.normal(0, 0.08, self.controls.shape):
            line(layer, placement.pixels(_bezier(stroke)), pen)
        return layer


def _bezier(controls: NDArray[np.float64]) -> NDArray[np.float64]:
    first, second, third, fourth = controls
    rest = 1 - POINTS
    return np.asarray(
        rest**3 * first
        + 3 * rest**2 * POINTS * second
        + 3 * rest * POINTS**2 * third
        + POINTS**3 * fourth
    )


def line(layer: Layer, points: NDArray[np.float64], pen: float) -> None:
    """Draw a line with a round pen, whose width is in pixels."""
    draw, half = ImageDraw.Draw(layer.cover), pen / 2
    draw.line(points.ravel().tolist(), fill=255, width=max(1, round(pen)), joint="curve")
    for x, y in (points[0], points[-1]):
        draw.ellipse((x - half, y - half, x + half, y + half), fill=255)


CHARACTERS = "0123456789ABCDEFGHJKLMNPQRTUVWXYZabdefghijkmnqrty&@#$%?!*+="
"""Those that look different in either case and at any size."""

SIDE = 96
FONT_SIZE = 84
PENS = 5
"""Weights of the pen, from the font's own to bold."""


@dataclass(frozen=True)
class Glyph:
    """A character, printed.

    Args:
        character: Which one.
    """

    character: str

    turn = 0.3
    solid = False

    def draw(self, rng: np.random.Generator, placement: Placement) -> Layer:
        """Draw one, lighter or bolder, in perspective."""
        printed = _printed(self.character, int(rng.integers(PENS)))
        back = placement.inverse() * (SIDE / 2)
        back[:, 2] += SIDE / 2
        tilt = rng.uniform(-0.25, 0.25, 2) / placement.size
        coefficients = (*back[0], *back[1], *tilt)
        side = (placement.size, placement.size)
        cover = printed.transform(
            side, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BILINEAR
        )
        return Layer(cover, Image.new("L", side, 128))


@lru_cache(maxsize=512)
def _printed(character: str, pen: int) -> Image.Image:
    """Return the character in white on black, as large as its box allows."""
    font = ImageFont.load_default(FONT_SIZE)
    left, top, right, bottom = font.getbbox(character, stroke_width=pen)
    own = Image.new("L", (int(right - left), int(bottom - top)))
    ImageDraw.Draw(own).text(
        (-left, -top), character, fill=255, font=font, stroke_width=pen, stroke_fill=255
    )
    scale = (SIDE - 4) / max(own.size)
    fitted = own.resize((max(1, round(own.width * scale)), max(1, round(own.height * scale))))
    page = Image.new("L", (SIDE, SIDE))
    page.paste(fitted, ((SIDE - fitted.width) // 2, (SIDE - fitted.height) // 2))
    return page
