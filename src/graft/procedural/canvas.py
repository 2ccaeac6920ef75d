"""What a shape is drawn on: its layer, its placement, and the palette that colours it."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True)
class Placement:
    """A map from a shape's own plane, about -1 to 1, to pixels of a square canvas.

    Args:
        matrix: Affine map, shape (2, 3): pixels = matrix @ (x, y, 1).
        size: Side of the canvas in pixels.
    """

    matrix: NDArray[np.float64]
    size: int

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        size: int,
        *,
        turn: float = np.pi,
        scale: tuple[float, float] = (0.5, 0.95),
    ) -> Placement:
        """Draw a placement.

        Args:
            rng: Source of chance.
            size: Side of the canvas in pixels.
            turn: Largest rotation to either side, in radians.
            scale: Least and greatest size, as a share of half the canvas.

        Example:
            >>> placement = Placement.draw(np.random.default_rng(0), 64)
            >>> placement.pixels(np.zeros((5, 2))).shape
            (5, 2)
        """
        angle = rng.uniform(-turn, turn)
        stretch, slant = rng.uniform(-0.25, 0.25, 2)
        own = rng.uniform(*scale)
        turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        form = np.array([[1 + stretch, slant], [0, 1 - stretch]])
        room = max(0.15, 1 - own)
        shift = size / 2 * (1 + rng.uniform(-room, room, 2))
        return cls(np.column_stack([turned @ form * (own * size / 2), shift]), size)

    def pixels(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return points (N, 2) of the shape's plane as pixels (N, 2) of the canvas."""
        return np.asarray(points @ self.matrix[:, :2].T + self.matrix[:, 2])

    def inverse(self) -> NDArray[np.float64]:
        """Return the map from pixels back to the shape's plane, shape (2, 3)."""
        back = np.linalg.inv(self.matrix[:, :2])
        return np.column_stack([back, -back @ self.matrix[:, 2]])

    @property
    def unit(self) -> float:
        """Pixels for a length of 1 in the shape's plane, on average."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix[:, :2]))))


LEVELS = 256


@dataclass(frozen=True)
class Palette:
    """A category of colour scales.

    Args:
        hues: Of the darkest, the middle and the lightest colour, in turns.
        saturations: Likewise, 0 to 1.
        values: Likewise, 0 to 1.
    """

    hues: tuple[float, ...]
    saturations: tuple[float, ...]
    values: tuple[float, ...]

    @classmethod
    def category(cls, rng: np.random.Generator) -> Palette:
        """Draw a category: one hue or two, vivid or dull, dark or light."""
        hue = rng.random()
        other = hue + (rng.normal(0, 0.05) if rng.random() < 0.6 else rng.random())
        low, high = np.sort(rng.uniform(0.05, 1.0, 2))
        high = max(high, low + 0.25)
        saturations = np.clip(rng.uniform(0, 1) + rng.normal(0, 0.15, 3), 0, 1)
        return cls(
            (hue, (hue + other) / 2, other),
            tuple(saturations.tolist()),
            (float(low), float(low + high) / 2, float(min(high, 1))),
        )

    def colours(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Return a scale of this kind, a little off: colours 0 to 1, shape (256, 3)."""
        turn, vivid, light = rng.normal(0, (0.015, 0.06, 0.05))
        stops = [
            colorsys.hsv_to_rgb(
                (hue + turn) % 1, min(max(s + vivid, 0), 1), min(max(v + light, 0), 1)
            )
            for hue, s, v in zip(self.hues, self.saturations, self.values, strict=True)
        ]
        place = np.linspace(0, len(stops) - 1, LEVELS)
        scale = [
            np.interp(place, range(len(stops)), channel) for channel in zip(*stops, strict=True)
        ]
        return np.stack(scale, 1).astype(np.float32)


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
