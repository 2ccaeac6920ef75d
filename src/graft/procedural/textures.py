"""Textures from formulas: noise with a spectrum, cells, waves and dead leaves.

Images of this kind teach much of what natural ones do (Baradad et al. 2021, "Learning to see by
looking at noise"). A category is a tile that repeats; each use of it is a turned, scaled window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.spatial import cKDTree

TILE = 192
WINDOW = 64
"""Pixels of a tile that a window shows at scale 1."""


@dataclass(frozen=True, eq=False)
class Texture:
    """A category of textures.

    Args:
        tile: Mode "L".
    """

    tile: Image.Image

    @classmethod
    def category(cls, rng: np.random.Generator) -> Texture:
        """Draw a category of any of the four kinds."""
        kind = KINDS[int(rng.integers(len(KINDS)))]
        return cls(Image.fromarray(_stretched(kind(rng))))

    def window(self, rng: np.random.Generator, size: int) -> NDArray[np.float32]:
        """Return a window, values 0 to 1, shape (size, size)."""
        scale = np.exp(rng.uniform(-0.35, 0.35)) * WINDOW / size
        angle = rng.uniform(-np.pi, np.pi)
        across, down = scale * np.cos(angle), scale * np.sin(angle)
        reach = abs(across) * size + abs(down) * size
        x, y = rng.uniform(0, TILE - reach, 2)
        x += max(0.0, down * size) + max(0.0, -across * size)
        y += max(0.0, -across * size) + max(0.0, -down * size)
        seen = self.tile.transform(
            (size, size),
            Image.Transform.AFFINE,
            (across, -down, x, down, across, y),
            Image.Resampling.BILINEAR,
        )
        return np.asarray(np.asarray(seen, np.float32) / 255)


def noise(rng: np.random.Generator) -> NDArray[np.float64]:
    """Gaussian noise with a power spectrum 1/f**a, longer in one direction, perhaps ridged."""
    down, across = np.meshgrid(np.fft.fftfreq(TILE), np.fft.rfftfreq(TILE), indexing="ij")
    angle, stretch = rng.uniform(0, np.pi), np.exp(rng.uniform(0, 1.2))
    along = across * np.cos(angle) + down * np.sin(angle)
    beside = (down * np.cos(angle) - across * np.sin(angle)) / stretch
    frequency = np.hypot(along, beside)
    frequency[0, 0] = 1
    spectrum = frequency ** -rng.uniform(0.8, 2.4)
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum * np.fft.rfft2(rng.normal(size=(TILE, TILE))), (TILE, TILE))
    return np.abs(field) if rng.random() < 0.4 else np.asarray(field)


def cells(rng: np.random.Generator) -> NDArray[np.float64]:
    """Distances to the nearest of random points, or to the edges between them (Worley 1996)."""
    points = rng.uniform(0, TILE, (int(np.exp(rng.uniform(np.log(40), np.log(900)))), 2))
    grid = np.stack(np.meshgrid(np.arange(TILE), np.arange(TILE), indexing="ij"), -1)
    distance, nearest = cKDTree(points, boxsize=TILE).query(grid.reshape(-1, 2).astype(float), 2)
    kind = int(rng.integers(3))
    if kind == 0:
        values = distance[:, 0]
    elif kind == 1:
        values = distance[:, 1] - distance[:, 0]
    else:
        values = rng.uniform(size=len(points))[nearest[:, 0]]
    return np.asarray(values.reshape(TILE, TILE))


def waves(rng: np.random.Generator) -> NDArray[np.float64]:
    """Sums of plane waves, perhaps bent and cut to stripes and checks."""
    y, x = np.mgrid[0:TILE, 0:TILE] * (2 * np.pi / TILE)
    bend = rng.uniform(0, 1.5) * np.sin(x * rng.integers(1, 4) + y * rng.integers(0, 3))
    field = np.zeros((TILE, TILE))
    for _ in range(int(rng.integers(1, 4))):
        along, down = rng.integers(-24, 25, 2)
        field += np.sin(along * x + (down or 8) * y + bend + rng.uniform(0, 2 * np.pi))
    return np.tanh(field * 4) if rng.random() < 0.5 else field


def leaves(rng: np.random.Generator) -> NDArray[np.float64]:
    """Discs that cover one another, many small and few large (Lee, Mumford & Huang 2001)."""
    page = Image.new("L", (TILE, TILE))
    draw = ImageDraw.Draw(page)
    least = rng.uniform(2, 8)
    for _ in range(900):
        radius = min(least * rng.pareto(2.0) + least, TILE / 4)
        x, y = rng.uniform(0, TILE, 2)
        tone = int(rng.integers(256))
        for left in (x - TILE, x, x + TILE) if not radius < x < TILE - radius else (x,):
            for top in (y - TILE, y, y + TILE) if not radius < y < TILE - radius else (y,):
                box = (left - radius, top - radius, left + radius, top + radius)
                draw.ellipse(box, fill=tone)
    return np.asarray(page, np.float64)


KINDS = (noise, cells, waves, leaves)


def _stretched(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    low, high = np.percentile(values, (1, 99))
    return np.asarray(((values - low) / max(high - low, 1e-9)).clip(0, 1) * 255, np.uint8)
