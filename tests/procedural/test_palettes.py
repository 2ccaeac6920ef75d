import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from graft.procedural.canvas import Palette


@given(st.integers(0, 2**32))
def test_colours_are_colours(seed):
    rng = np.random.default_rng(seed)
    colours = Palette.category(rng).colours(rng)
    assert colours.shape == (256, 3)
    assert 0 <= colours.min() <= colours.max() <= 1


def test_uses_of_one_palette_are_closer_than_two_palettes():
    rng = np.random.default_rng(0)
    palettes = [Palette.category(rng) for _ in range(30)]
    first = np.array([palette.colours(rng) for palette in palettes])
    second = np.array([palette.colours(rng) for palette in palettes])
    own = np.abs(first - second).mean()
    other = np.abs(first[:-1] - second[1:]).mean()
    assert own < other / 3


def test_lighter_points_have_lighter_colours():
    rng = np.random.default_rng(1)
    for _ in range(20):
        values = Palette.category(rng).colours(rng).max(axis=1)
        assert values[-1] > values[0]
