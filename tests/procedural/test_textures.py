import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from graft.procedural.textures import KINDS, TILE, Texture


@pytest.mark.parametrize("kind", KINDS)
def test_a_tile_is_finite_and_not_flat(kind):
    for seed in range(5):
        tile = kind(np.random.default_rng(seed))
        assert tile.shape == (TILE, TILE)
        assert np.isfinite(tile).all()
        assert tile.std() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_tile_repeats_without_a_seam(kind):
    seam, inside = [], []
    for seed in range(12):
        tile = kind(np.random.default_rng(seed))
        seam.append(np.abs(tile[0] - tile[-1]).mean())
        inside.append(np.abs(np.diff(tile, axis=0)).mean())
    assert np.mean(seam) < 2 * np.mean(inside)


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.sampled_from([16, 32, 64, 100, 224]))
def test_a_window_never_leaves_its_tile(seed, size):
    white = Texture(Image.new("L", (TILE, TILE), 255))
    window = white.window(np.random.default_rng(seed), size)
    assert window.shape == (size, size)
    assert window.min() == 1
