"""One entry for each set of facts, and an amount of them that the disk can bear."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from graft.cache.store.store import Store

GIB = 1 << 30


def fill(store, cut, last_used=None, rows=100):
    entry = store.entry({"cut": cut}, 10)
    entry.add([f"{row}:0" for row in range(rows)], np.zeros((rows, 10), dtype=np.float32))
    if last_used is not None:
        os.utime(entry.folder / "entry.json", (last_used, last_used))
    return entry


def cuts(root):
    return {cut for cut in "abc" if Store(root).entry({"cut": cut}, 10).find(["0:0"]).all()}


@pytest.mark.parametrize(
    ("facts", "size", "dtype"),
    [({"cut": "b"}, 10, "float32"), ({"cut": "a"}, 9, "float32"), ({"cut": "a"}, 10, "float16")],
)
def test_other_facts_sizes_and_dtypes_are_other_entries(tmp_path, facts, size, dtype):
    store = Store(tmp_path)
    assert store.entry(facts, size, dtype).key != store.entry({"cut": "a"}, 10).key


def test_the_same_facts_are_the_same_entry(tmp_path):
    store = Store(tmp_path)
    entry = store.entry({"a": 1, "b": (2, 3)}, 10)
    assert store.entry({"b": [2, 3], "a": 1}, 10, np.float32) is entry


@pytest.mark.parametrize(("size", "dtype"), [(0, "float32"), (3, "object"), (3, "U4")])
def test_rows_without_a_fixed_size_are_refused(tmp_path, size, dtype):
    with pytest.raises(ValueError, match="cannot be kept"):
        Store(tmp_path).entry({}, size, dtype)


def test_what_was_used_least_recently_is_evicted_first(tmp_path):
    store = Store(tmp_path)
    for cut, last_used in (("b", 1000), ("c", 2000), ("a", 3000)):
        fill(store, cut, last_used)
    each = store.usage() // 3
    assert Store(tmp_path).evict(2 * each + 100) == each
    assert cuts(tmp_path) == {"a", "c"}


def test_what_this_store_has_given_out_is_never_evicted(tmp_path):
    fill(Store(tmp_path), "a", 1000)
    store = Store(tmp_path)
    fill(store, "b", 2000)
    fill(Store(tmp_path), "c", 3000)
    store.evict(0)
    assert cuts(tmp_path) == {"b"}


def test_room_is_made_if_it_can_be(tmp_path, monkeypatch):
    fill(Store(tmp_path), "a", 1000)
    store = Store(tmp_path)
    fill(store, "b")
    each = store.usage() // 2
    limit = 2 * each + 50
    monkeypatch.setattr(Store, "limit", lambda _: limit)
    assert store.room() == limit - each
    assert not store.make_room(limit - each + 1)
    assert store.make_room(10)
    assert cuts(tmp_path) == {"a", "b"}
    assert store.make_room(limit - each)
    assert cuts(tmp_path) == {"b"}


@pytest.mark.parametrize(("free", "limit"), [(1000 * GIB, 20 * GIB), (100 * GIB, 10 * GIB)])
def test_the_limit_is_20_gib_or_a_tenth_of_the_disk(tmp_path, monkeypatch, free, limit):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert Store(tmp_path / "not" / "yet").limit() == limit


def test_the_limit_counts_what_the_cache_uses_as_free(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    store = Store(tmp_path)
    fill(store, "a")
    assert store.limit() == store.usage() // 10 > 0


def test_evicting_from_nowhere_frees_nothing(tmp_path):
    assert Store(tmp_path / "absent").evict(0) == 0


def test_it_needs_no_torch():
    code = (
        "import sys, graft.cache.store, graft.cache.store.writer, graft.workflows.cache\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
