"""Letters, digits and signs of the font that ships inside Pillow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from graft.procedural.layer import Layer
from graft.procedural.placement import Placement

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
