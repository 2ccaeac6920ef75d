"""Wilson's interval against scipy's, and at its ends."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.report.interval import wilson


@settings(deadline=None)
@given(st.integers(1, 5000), st.floats(0, 1))
def test_the_interval_is_scipys(images: int, share: float) -> None:
    from scipy.stats import binomtest

    right = round(share * images)
    expected = binomtest(right, images).proportion_ci(method="wilson")
    assert wilson(right, images) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_no_images_tell_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
