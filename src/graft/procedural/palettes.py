"""Palettes: from how light a point is to its colour."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
