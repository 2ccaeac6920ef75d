from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from graft.data.augment import OPERATIONS, RandAugment
from graft.data.transforms import FILL
from graft.errors import RecipeError

UNCHANGED_AT_ZERO = set(OPERATIONS) - {"autocontrast", "equalize"}


@pytest.mark.parametrize("name", sorted(UNCHANGED_AT_ZERO - {"identity"}))
def test_strength_zero_changes_nothing_and_full_strength_something(name, make_photo):
    photo = make_photo()
    still = np.asarray(OPERATIONS[name](photo, 0.0)).astype(int)
    # Solarising at zero still inverts pure white.
    assert np.abs(still - np.asarray(photo))[np.asarray(photo) < 255].max() <= 1
    assert OPERATIONS[name](photo, 1.0).tobytes() != photo.tobytes()


@pytest.mark.parametrize("strength", [-1.0, 1.0])
@pytest.mark.parametrize("name", OPERATIONS)
def test_no_operation_leaves_an_empty_image(name, strength, make_photo):
    changed = np.asarray(OPERATIONS[name](make_photo(), strength))
    assert changed.std() > 1


@pytest.mark.parametrize("options", [{"operations": 0}, {"magnitude": 31}, {"magnitude": -1}])
def test_values_out_of_range_are_named(options):
    with pytest.raises(RecipeError, match="RandAugment"):
        RandAugment(**options)


def affine(image: Image.Image, **changes: list[float]) -> Image.Image:
    """Do with torchvision what shearing and translating do."""
    still = {"angle": 0.0, "scale": 1.0, "translate": [0, 0], "shear": [0.0, 0.0]}
    options = {"interpolation": InterpolationMode.BILINEAR, "fill": list(FILL)}
    return F.affine(image, **(still | changes), **options)


THEIRS = {
    "identity": lambda i, s: i,
    "shear-x": lambda i, s: affine(i, shear=[17 * s, 0]),
    "shear-y": lambda i, s: affine(i, shear=[0, 17 * s]),
    "translate-x": lambda i, s: affine(i, translate=[round(0.45 * s * i.width), 0]),
    "translate-y": lambda i, s: affine(i, translate=[0, round(0.45 * s * i.height)]),
    "rotate": lambda i, s: F.rotate(i, 30 * s, InterpolationMode.BILINEAR, fill=list(FILL)),
    "brightness": lambda i, s: F.adjust_brightness(i, 1 + 0.9 * s),
    "color": lambda i, s: F.adjust_saturation(i, 1 + 0.9 * s),
    "contrast": lambda i, s: F.adjust_contrast(i, 1 + 0.9 * s),
    "sharpness": lambda i, s: F.adjust_sharpness(i, 1 + 0.9 * s),
    "posterize": lambda i, s: F.posterize(i, 8 - round(4 * abs(s))),
    "solarize": lambda i, s: F.solarize(i, round(255 * (1 - abs(s)))),
    "autocontrast": lambda i, s: F.autocontrast(i),
    "equalize": lambda i, s: F.equalize(i),
}


@pytest.mark.parametrize("name", OPERATIONS)
@settings(deadline=None, max_examples=15)
@given(
    size=st.tuples(st.integers(2, 70), st.integers(2, 70)),
    seed=st.integers(0, 1000),
    strength=st.sampled_from([-1.0, -0.3, 0.0, 0.3, 1.0]) | st.floats(-1, 1),
)
def test_every_operation_is_torchvisions_to_the_last_bit(name, size, seed, strength):
    noise = np.random.default_rng(seed).integers(256, size=(*size, 3), dtype=np.uint8)
    photo = Image.fromarray(noise)
    ours, theirs = OPERATIONS[name](photo, strength), THEIRS[name](photo, strength)
    assert ours.tobytes() == theirs.tobytes()
