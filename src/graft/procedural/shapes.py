"""Shapes from formulas: outlines of waves and superformulas, rosettes, fractals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from graft.procedural.canvas import Layer, Placement

CORNERS = 72
"""Points of an outline."""

AROUND = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)


@dataclass(frozen=True)
class Waves:
    """An outline r(t) = 1 + sum_k a_k sin(n_k t + p_k), with copies of itself inside.

    Args:
        frequencies: n_k, whole numbers.
        amplitudes: a_k.
        phases: p_k, in radians.
        rings: Sizes of the copies within, from 1 downwards.
    """

    frequencies: tuple[int, ...]
    amplitudes: tuple[float, ...]
    phases: tuple[float, ...]
    rings: tuple[float, ...]

    turn = np.pi
    solid = True

    @classmethod
    def category(cls, rng: np.random.Generator) -> Waves:
        """Draw a category."""
        count = int(rng.integers(1, 4))
        frequencies = rng.choice(np.arange(2, 13), count, replace=False)
        amplitudes = rng.uniform(0.12, 0.5, count) / np.sqrt(count)
        rings = 0.75 ** np.arange(int(rng.integers(1, 4)))
        return cls(
            tuple(frequencies.tolist()),
            tuple(amplitudes.tolist()),
            tuple(rng.uniform(0, 2 * np.pi, count).tolist()),
            tuple(rings.tolist()),
        )

    def draw(self, rng: np.random.Generator, placement: Placement) -> Layer:
        """Draw one, with amplitudes and phases a little off."""
        radius = np.ones(CORNERS)
        for frequency, amplitude, phase in zip(
            self.frequencies, self.amplitudes, self.phases, strict=True
        ):
            off = rng.normal(0, 0.15, 2)
            radius += amplitude * (1 + off[0]) * np.sin(frequency * AROUND + phase + off[1])
        return _nested(_polar(radius / np.abs(radius).max()), self.rings, rng, placement)


@dataclass(frozen=True)
class Superformula:
    """Gielis' superformula, from stars over squares to leaves (Gielis 2003, eq. 2).

    Args:
        m: Corners.
        n: The three exponents.
        rings: Sizes of the copies within, from 1 downwards.
    """

    m: int
    n: tuple[float, float, float]
    rings: tuple[float, ...]

    turn = np.pi
    solid = True

    @classmethod
    def category(cls, rng: np.random.Generator) -> Superformula:
        """Draw a category."""
        exponents = np.exp(rng.uniform(np.log(0.4), np.log(12), 3))
        rings = 0.7 ** np.arange(int(rng.integers(1, 3)))
        return cls(
            int(rng.integers(1, 9)),
            (float(exponents[0]), float(exponents[1]), float(exponents[2])),
            tuple(rings.tolist()),
        )

    def draw(self, rng: np.random.Generator, placement: Placement) -> Layer:
        """Draw one, with exponents a little off."""
        first, second, third = np.array(self.n) * np.exp(rng.normal(0, 0.08, 3))
        quarter = self.m * AROUND / 4
        inner = np.abs(np.cos(quarter)) ** second + np.abs(np.sin(quarter)) ** third
        radius = inner ** (-1 / first)
        return _nested(_polar(radius / radius.max()), self.rings, rng, placement)


@dataclass(frozen=True)
class Rosette:
    """Petals around a disc, in one or more whorls.

    Args:
        petals: Petals of a whorl.
        whorls: Rings of petals, each smaller than the one around it.
        breadth: Half the greatest width of a petal over its length.
        peak: Where a petal is widest, as a share of its length.
        disc: Radius of the disc.
    """

    petals: int
    whorls: int
    breadth: float
    peak: float
    disc: float

    turn = np.pi
    solid = True

    @classmethod
    def category(cls, rng: np.random.Generator) -> Rosette:
        """Draw a category."""
        petals = int(rng.integers(3, 18))
        return cls(
            petals,
            int(rng.integers(1, 4)),
            float(rng.uniform(0.5, 1.4) * np.pi / petals / 1.5),
            float(rng.uniform(0.35, 0.8)),
            float(rng.uniform(0.0, 0.4)),
        )

    def draw(self, rng: np.random.Generator, placement: Placement) -> Layer:
        """Draw one, each petal a little off."""
        layer = Layer.blank(placement.size)
        along = np.linspace(0, 1, 12)
        skew = np.log(0.5) / np.log(self.peak)
        width = self.breadth * np.sin(np.pi * along**skew)
        petal = np.concatenate(
            [np.column_stack([along, width]), np.column_stack([along, -width])[::-1]]
        )
        light = rng.uniform(120, 230)
        for whorl in range(self.whorls):
            length = 0.72**whorl
            start = rng.uniform(0, 2 * np.pi)
            for index in range(self.petals):
                angle = start + 2 * np.pi * index / self.petals + rng.normal(0, 0.08)
                cosine, sine = np.cos(angle), np.sin(angle)
                own = petal * length * np.exp(rng.normal(0, 0.06))
                turned = own @ np.array([[cosine, sine], [-sine, cosine]])
                _fill(layer, placement.pixels(turned), light + rng.normal(0, 18) - 25 * whorl)
        if self.disc:
            disc = self.disc * np.column_stack([np.cos(AROUND), np.sin(AROUND)])
            _fill(layer, placement.pixels(disc), rng.uniform(0, 90))
        return layer


def _polar(radius: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([radius * np.cos(AROUND), radius * np.sin(AROUND)])


def _nested(
    outline: NDArray[np.float64],
    rings: tuple[float, ...],
    rng: np.random.Generator,
    placement: Placement,
) -> Layer:
    layer = Layer.blank(placement.size)
    tones = rng.uniform(40, 215, len(rings))
    for ring, tone in zip(rings, tones, strict=True):
        _fill(layer, placement.pixels(outline * ring), tone)
    return layer


def _fill(layer: Layer, corners: NDArray[np.float64], tone: float) -> None:
    flat = corners.ravel().tolist()
    ImageDraw.Draw(layer.cover).polygon(flat, fill=255)
    ImageDraw.Draw(layer.tone).polygon(flat, fill=int(np.clip(tone, 0, 255)))


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
