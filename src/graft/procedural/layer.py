"""What a shape leaves on a canvas: where it is, and how light each part of it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from graft.procedural.placement import Placement


@dataclass(frozen=True)
class Layer:
    """A drawn shape.

    Args:
        cover: How much of each pixel it covers, mode "L", 0 to 255.
        tone: How light its parts are, mode "L", 0 to 255; means nothing where nothing is covered.
    """

    cover: Image.Image
    tone: Image.Image

    @classmethod
    def blank(cls, size: int) -> Layer:
        """Return an empty canvas of so many pixels a side.

        Example:
            >>> Layer.blank(8).cover.getextrema()
            (0, 0)
        """
        return cls(Image.new("L", (size, size)), Image.new("L", (size, size), 128))


class Shape(Protocol):
    """A category of shapes; each drawing of it is another one of the same kind."""

    turn: float
    """Largest rotation, in radians, that leaves a drawing in its category."""

    solid: bool
    """Whether it has an inside that shows a texture."""

    def draw(self, rng: np.random.Generator, placement: Placement) -> Layer:
        """Draw one of the kind."""
