"""Where a shape stands in a picture: size, turn, slant and position, drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
