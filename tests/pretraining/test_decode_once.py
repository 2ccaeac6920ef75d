"""Promises of handing a decoded image from one view to the other."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest
from PIL import Image

from graft.data.prefetch import PixelCache
from graft.errors import DataError
from graft.pretraining.views import DecodeOnce


def test_a_image_is_kept_until_its_second_view_and_no_longer():
    once, made = DecodeOnce(), Counter()

    def get(key):
        return once.get(key, lambda: made.update(key) or Image.new("RGB", (2, 2)))

    first = get("a")
    assert len(once) == 1
    assert get("a") is first
    assert len(once) == 0
    assert get("a") is not first
    assert made["a"] == 2


def test_two_threads_that_ask_at_once_share_one_decoding():
    once, made, started = DecodeOnce(), [], Event()

    def slow():
        made.append(1)
        started.set()
        both.wait(timeout=10)
        return Image.new("RGB", (2, 2))

    both = Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(once.get, "a", slow)
        assert started.wait(timeout=10)
        second = pool.submit(once.get, "a", slow)
        both.wait(timeout=10)
        assert first.result(timeout=10) is second.result(timeout=10)
    assert len(made) == 1


def test_what_cannot_be_decoded_fails_for_both_views():
    once, tried = DecodeOnce(), []

    def broken():
        tried.append(1)
        raise DataError("no pixels")

    for _ in range(2):
        with pytest.raises(DataError, match="no pixels"):
            once.get("a", broken)
    assert len(tried) == 1
    assert len(once) == 0


def test_a_cache_beyond_keeps_what_it_has_room_for():
    beyond, made = PixelCache(limit=100), []
    once = DecodeOnce(beyond)
    for _ in range(6):
        once.get("a", lambda: made.append(1) or Image.new("RGB", (2, 2)))
    assert len(made) == len(beyond) == 1
