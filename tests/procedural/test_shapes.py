"""Every kind of shape: drawings of one category are alike, those of two are not."""

import numpy as np
import pytest

from graft.procedural.canvas import Placement
from graft.procedural.shapes import FEWEST, Fractal, Rosette, Superformula, Waves
from graft.procedural.strokes import CHARACTERS, Glyph, Strokes

SIZE = 64
UPRIGHT = Placement(np.array([[28.0, 0, 32], [0, 28.0, 32]]), SIZE)
KINDS = [Waves, Superformula, Rosette, Fractal, Strokes]


def cover(shape, rng):
    return np.asarray(shape.draw(rng, UPRIGHT).cover, float) > 127


def overlap(one, other):
    return (one & other).sum() / max(1, (one | other).sum())


@pytest.mark.parametrize("kind", KINDS)
def test_drawings_of_one_category_are_more_alike_than_those_of_two(kind):
    shapes = [kind.category(np.random.default_rng((1, index))) for index in range(12)]
    rng = np.random.default_rng(0)
    first = [cover(shape, rng) for shape in shapes]
    second = [cover(shape, rng) for shape in shapes]
    own = np.mean([overlap(a, b) for a, b in zip(first, second, strict=True)])
    other = np.mean([overlap(a, b) for a, b in zip(first, second[1:], strict=False)])
    assert own > other + 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_two_drawings_differ(kind):
    shape, rng = kind.category(np.random.default_rng(3)), np.random.default_rng(0)
    assert (cover(shape, rng) != cover(shape, rng)).any()


@pytest.mark.parametrize("kind", KINDS)
def test_every_drawing_covers_something_and_not_everything(kind):
    rng = np.random.default_rng(5)
    for _ in range(20):
        share = cover(kind.category(rng), rng).mean()
        assert 0.005 < share < 0.9


@pytest.mark.parametrize("character", CHARACTERS)
def test_every_glyph_is_in_the_font(character):
    rng = np.random.default_rng(0)
    drawn = cover(Glyph(character), rng)
    assert 0.02 < drawn.mean() < 0.9
    missing = cover(Glyph("\U0010ffff"), np.random.default_rng(0))
    assert overlap(drawn, missing) < 0.95


def test_a_fractal_fills_its_plane():
    for seed in range(20):
        points = Fractal.category(np.random.default_rng(seed)).points
        assert np.abs(points).max() <= 1.3
        cells = ((points + 1.3) / 2.6 * 24).astype(int).clip(0, 23)
        assert len(np.unique(cells, axis=0)) >= FEWEST * 24**2


def test_a_rosette_has_its_petals():
    rosette = Rosette(petals=5, whorls=1, breadth=0.25, peak=0.6, disc=0.0)
    drawn = cover(rosette, np.random.default_rng(0))
    angles = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    ring = drawn[
        (32 + 18 * np.sin(angles)).round().astype(int),
        (32 + 18 * np.cos(angles)).round().astype(int),
    ]
    assert (ring & ~np.roll(ring, 1)).sum() == 5
