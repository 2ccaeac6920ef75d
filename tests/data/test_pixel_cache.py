from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from graft.data.prefetch import LARGEST, PixelCache
from graft.machine import available_memory


def image(width: int = 10, height: int = 10) -> Image.Image:
    return Image.new("RGB", (width, height))


@settings(deadline=None, max_examples=50)
@given(
    limit=st.integers(0, 5000),
    asked=st.lists(st.tuples(st.integers(0, 8), st.integers(1, 40)), max_size=40),
)
def test_what_is_kept_never_takes_more_than_the_limit_and_is_counted_right(limit, asked):
    cache, kept = PixelCache(limit), {}
    for key, width in asked:
        given_back = cache.get(key, lambda width=width: image(width))
        if key in kept:
            assert given_back is kept[key]
        elif len(cache) > len(kept):
            kept[key] = given_back
    assert cache.used == sum(4 * each.width * each.height for each in kept.values()) <= limit


def test_once_full_images_are_made_anew_and_small_ones_still_find_room():
    cache = PixelCache(limit=4 * 150)
    made = []

    def make(width: int) -> Image.Image:
        made.append(width)
        return image(width)

    for _ in range(2):
        cache.get("first", lambda: make(10))
        cache.get("too large", lambda: make(11))
        cache.get("small", lambda: make(5))
    assert made == [10, 11, 5, 11]


def test_a_image_that_cannot_be_made_leaves_nothing_behind():
    cache = PixelCache()

    def fail() -> Image.Image:
        raise ValueError("no pixels")

    with pytest.raises(ValueError, match="no pixels"):
        cache.get("broken", fail)
    assert (len(cache), cache.used) == (0, 0)
    assert cache.get("broken", image).size == (10, 10)


def test_threads_that_make_one_image_at_once_are_counted_once():
    cache, together = PixelCache(), threading.Barrier(4)

    def make() -> Image.Image:
        together.wait(10)
        return image()

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: cache.get("one", make), range(4)))
    assert len(made) == 4
    assert (len(cache), cache.used) == (1, 400)


def test_by_default_it_takes_a_small_share_of_the_free_memory():
    assert 0 < PixelCache().limit <= min(available_memory() // 4, LARGEST)
