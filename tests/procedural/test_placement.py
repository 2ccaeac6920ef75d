import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from graft.procedural.canvas import Placement


@given(st.integers(0, 2**32), st.integers(8, 256))
def test_the_inverse_leads_back(seed, size):
    rng = np.random.default_rng(seed)
    placement, points = Placement.draw(rng, size), rng.uniform(-1, 1, (6, 2))
    back = placement.inverse()
    pixels = placement.pixels(points)
    assert np.allclose(pixels @ back[:, :2].T + back[:, 2], points, atol=1e-9)


@given(st.integers(0, 2**32))
def test_most_of_a_shape_lies_on_the_canvas(seed):
    placement = Placement.draw(np.random.default_rng(seed), 64)
    [centre] = placement.pixels(np.zeros((1, 2)))
    assert ((centre > 0) & (centre < 64)).all()


def test_without_turn_a_shape_stays_upright():
    rng = np.random.default_rng(0)
    for _ in range(50):
        placement = Placement.draw(rng, 64, turn=0.0)
        up, right = placement.pixels(np.array([[0, 1], [1, 0]])) - placement.matrix[:, 2]
        assert up[1] > abs(up[0]) / 2
        assert right[0] > abs(right[1])
