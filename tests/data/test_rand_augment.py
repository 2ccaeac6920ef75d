from __future__ import annotations

import numpy as np
import pytest

from graft.data.rand_augment import OPERATIONS, RandAugment
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
def test_no_operation_leaves_an_empty_picture(name, strength, make_photo):
    changed = np.asarray(OPERATIONS[name](make_photo(), strength))
    assert changed.std() > 1


@pytest.mark.parametrize("options", [{"operations": 0}, {"magnitude": 31}, {"magnitude": -1}])
def test_values_out_of_range_are_named(options):
    with pytest.raises(RecipeError, match="RandAugment"):
        RandAugment(**options)
