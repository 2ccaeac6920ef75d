"""Attractors of iterated function systems, drawn by the chaos game.

Kataoka et al. 2020, "Pre-training without natural images" (FractalDB); the systems are drawn by
their singular values as Anderson & Farrell 2022, "Improving fractal pre-training", section 3, do,
which avoids most that are degenerate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from graft.procedural.layer import Layer
from graft.procedural.placement import Placement

CHAINS, BURN_IN, STEPS = 96, 16, 48
FEWEST = 0.1
"""Least share of a 24 x 24 grid that an attractor must touch."""


@dataclass(frozen=True, eq=False)
class Fractal:
    """An iterated function system's attractor.

    Args:
        points: On the attractor, within -1 to 1, shape (N, 2).
        tones: By the map that led to each point, 0 to 255, shape (N,).
    """

    points: NDArray[np.float64]
    tones: NDArray[np.float64]

    turn = np.pi
    solid = True

    @classmethod
    def category(cls, rng: np.random.Generator) -> Fractal:
        """Draw a category: systems are drawn until one fills enough of its plane."""
        while True:
            maps = _system(rng)
            points, last = _chaos_game(maps, rng)
            low, high = np.percentile(points, (1, 99), axis=0)
            if not np.all(np.isfinite(high - low)) or (high - low).min() < 1e-3:
                continue
            scaled = 2 * (points - low) / (high - low) - 1
            inside = np.abs(scaled).max(axis=1) <= 1.3
            cells = ((scaled[inside] + 1.3) / 2.6 * 24).astype(int).clip(0, 23)
            if len(np.unique(cells[:, 0] * 24 + cells[:, 1])) >= FEWEST * 24**2:
                tones = rng.uniform(20, 235, len(maps))[last]
                return cls(scaled[inside], tones[inside])

    def draw(self, rng: np.random.Generator, placement: Placement) -> Layer:
        """Draw one: the same attractor, from a part of its points."""
        kept = rng.random(len(self.points)) < rng.uniform(0.5, 1.0)
        size = placement.size
        pixels = placement.pixels(self.points[kept]).astype(int)
        on = ((pixels >= 0) & (pixels < size)).all(axis=1)
        at = pixels[on, 1] * size + pixels[on, 0]
        count = np.bincount(at, minlength=size * size)
        tone = np.bincount(at, self.tones[kept][on], size * size) / np.maximum(count, 1)
        cover = np.minimum(count * 255.0, 255)
        return Layer(_image(cover, size), _image(np.where(count, tone, 128), size))


def _system(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw affine maps, shape (maps, 2, 3), contracting enough together but not too much."""
    count = int(rng.integers(2, 6))
    total = rng.uniform((5 + count) / 2, (6 + count) / 2) / 2
    shares = rng.dirichlet(np.ones(count)) * total
    major = np.clip(shares * rng.uniform(1.0, 1.6, count), 0.2, 0.92)
    minor = major * rng.uniform(0.3, 1.0, count)
    maps = np.empty((count, 2, 3))
    for index in range(count):
        first, second = (_turn(angle) for angle in rng.uniform(-np.pi, np.pi, 2))
        signs = rng.choice([-1.0, 1.0], 2)
        maps[index, :, :2] = first @ np.diag([major[index], minor[index]]) @ second * signs
        maps[index, :, 2] = rng.uniform(-1, 1, 2)
    return maps


def _turn(angle: float) -> NDArray[np.float64]:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _chaos_game(
    maps: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Run many chains at once; returns points (N, 2) and the map that led to each (N,)."""
    weights = np.abs(np.linalg.det(maps[:, :, :2])) + 0.02
    chosen = rng.choice(len(maps), (BURN_IN + STEPS, CHAINS), p=weights / weights.sum())
    at = np.zeros((CHAINS, 2))
    visited = np.empty((STEPS, CHAINS, 2))
    for step, taken in enumerate(chosen):
        at = np.einsum("cij,cj->ci", maps[taken, :, :2], at) + maps[taken, :, 2]
        if step >= BURN_IN:
            visited[step - BURN_IN] = at
    return visited.reshape(-1, 2), chosen[BURN_IN:].ravel()


def _image(values: NDArray[np.float64], size: int) -> Image.Image:
    return Image.fromarray(values.reshape(size, size).astype(np.uint8))
