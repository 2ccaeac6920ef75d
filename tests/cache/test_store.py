"""Only what the cache made is counted and removed, and no more is kept than the disk bears."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.cache import store as module
from graft.cache.store import (
    TEMPORARY,
    Store,
    count_images,
    describe_entry,
    key_of,
    remove_entry,
    write_atomically,
)
from tests.cache.activations import IDS, open_storage, shards, values_of

GIB = 1 << 30
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
FACTS = st.dictionaries(st.text(max_size=3), JSON, max_size=4)


def fill(root, cut, last_used=None):
    storage = open_storage(root, cut)
    storage.add(IDS, values_of(IDS))
    if last_used is not None:
        os.utime(storage.folder / "entry.json", (last_used, last_used))
    return storage


def cuts(root):
    return {cut for cut in "abc" if open_storage(root, cut).find(IDS).all()}


@pytest.fixture
def storage(tmp_path):
    return fill(tmp_path / "features", "stage4")


@pytest.fixture
def root(storage) -> Path:
    return storage.folder.parent


# Keys


@settings(deadline=None)
@given(facts=FACTS, data=st.data())
def test_the_order_of_facts_does_not_matter(facts, data):
    shuffled = dict(data.draw(st.permutations(list(facts.items()))))
    assert key_of(shuffled) == key_of(facts)


@settings(deadline=None)
@given(one=FACTS, other=FACTS)
def test_facts_that_differ_have_keys_that_differ(one, other):
    alike = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (key_of(one) == key_of(other)) == alike


def test_a_tuple_is_a_list():
    assert key_of({"a": 1, "b": (2, 3)}) == key_of({"b": [2, 3], "a": 1})


@pytest.mark.parametrize("value", [{1: 2}, [{"a": {None: 1}}], ({2.0: 1},)])
def test_a_name_that_is_no_text_is_refused(value):
    with pytest.raises(TypeError, match="names that are text"):
        key_of({"value": value})


def test_what_is_no_json_is_refused():
    with pytest.raises(TypeError):
        key_of({"value": object()})
    with pytest.raises(ValueError, match="JSON"):
        key_of({"value": float("nan")})


# What there is


def test_an_entry_is_seen_with_its_bytes_and_images(root, storage):
    storage.add(IDS, values_of(IDS))
    [item] = Store(root).entries()
    assert item.path == storage.folder
    assert item.bytes == sum(path.stat().st_size for path in storage.folder.iterdir())
    assert count_images(storage.folder) == 10
    assert describe_entry(storage.folder)["facts"] == {"cut": "stage4"}


def test_a_damaged_shard_counts_no_images(storage):
    with shards(storage)[0].open("ab") as file:
        file.write(b"more")
    assert count_images(storage.folder) == 0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"facts": NaN}', "\x00", "[" * 100_000])
def test_facts_that_cannot_be_read_are_none(storage, text):
    (storage.folder / "entry.json").write_text(text)
    assert describe_entry(storage.folder) == {}


def test_it_needs_neither_torch_nor_numpy():
    code = (
        "import sys, graft.cache.store, graft.workflows.cache\n"
        "assert not {'torch', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# What may go


def test_what_was_used_least_recently_is_evicted_first(tmp_path):
    for cut, last_used in (("b", 1000), ("c", 2000), ("a", 3000)):
        fill(tmp_path, cut, last_used)
    each = Store(tmp_path).usage() // 3
    assert Store(tmp_path).evict(2 * each + 100) == each
    assert cuts(tmp_path) == {"a", "c"}


def test_what_this_process_uses_is_never_evicted(tmp_path):
    fill(tmp_path, "a", 1000)
    fill(tmp_path, "c", 3000)
    store = Store(tmp_path)
    store.in_use.add(fill(tmp_path, "b", 2000).key)
    store.evict(0)
    assert cuts(tmp_path) == {"b"}


def test_room_is_what_remains_when_all_others_have_gone(tmp_path, monkeypatch):
    fill(tmp_path, "a", 1000)
    store = Store(tmp_path)
    each = store.usage()
    monkeypatch.setattr(Store, "limit", lambda _: 2 * each + 50)
    assert store.room() == 2 * each + 50
    store.in_use.add(fill(tmp_path, "b").key)
    assert store.room() == each + 50


@pytest.mark.parametrize(("free", "limit"), [(1000 * GIB, 20 * GIB), (100 * GIB, 10 * GIB)])
def test_the_limit_is_20_gib_or_a_tenth_of_the_disk(tmp_path, monkeypatch, free, limit):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert Store(tmp_path / "not" / "yet").limit() == limit


def test_the_limit_counts_what_the_cache_uses_as_free(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    fill(tmp_path, "a")
    assert Store(tmp_path).limit() == Store(tmp_path).usage() // 10 > 0


def test_evicting_from_nowhere_frees_nothing(tmp_path):
    assert Store(tmp_path / "absent").evict(0) == 0


def test_what_others_put_there_stays(root, storage):
    others = [
        root / "notes.txt",
        root / ("f" * 64) / "theirs.bin",
        root / "short" / "entry.json",
        storage.folder / "notes.txt",
        storage.folder / "sub" / "entry.json",
        storage.folder / "0.safetensors",
        storage.folder / ".hidden.tmp",
    ]
    for path in others:
        path.parent.mkdir(exist_ok=True)
        path.write_text("theirs")
    Store(root).evict(0)
    assert all(path.read_text() == "theirs" for path in others)
    assert not (storage.folder / "entry.json").exists()
    assert Store(root).usage() == 0


def test_shards_of_the_format_before_are_counted_and_go(root):
    old = root / ("e" * 64) / f"{'0' * 32}.rows"
    old.parent.mkdir()
    old.write_bytes(bytes(100))
    assert Store(root).usage(only={"e" * 64}) == 100
    Store(root).evict(0)
    assert not old.parent.exists()


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_are_not_followed(root, storage, tmp_path):
    storage.folder.rename(tmp_path / "elsewhere")
    storage.folder.symlink_to(tmp_path / "elsewhere")
    assert Store(root).entries() == []
    Store(root).evict(0)
    assert len(list((tmp_path / "elsewhere").iterdir())) == 2


def test_an_entry_without_its_facts_is_counted_and_removed_too(root, storage):
    (storage.folder / "entry.json").unlink()
    [item] = Store(root).entries()
    assert item.bytes > 0
    assert remove_entry(storage.folder) == item.bytes
    assert not storage.folder.exists()


def test_what_may_not_be_removed_stops_no_eviction(root, monkeypatch):
    def refuse(_):
        raise PermissionError

    monkeypatch.setattr(module, "remove_entry", refuse)
    assert Store(root).evict(0) == 0


def test_temporary_files_that_nobody_writes_any_more_go(root, storage):
    for folder in (root, storage.folder):
        (folder / f".{'0' * 32}.tmp").write_bytes(bytes(100))
    assert Store(root).evict(1 << 40) == 200
    assert storage.read(IDS)[1].all()


# Files that are whole or absent


def test_half_a_file_bears_the_name_of_a_temporary(tmp_path):
    def parts():
        yield b"first "
        [path] = tmp_path.iterdir()
        assert TEMPORARY.fullmatch(path.name)
        yield memoryview(b"second")

    write_atomically(tmp_path / "entry.json", parts())
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"first second"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_what_fails_half_way_leaves_the_old_and_nothing_else(tmp_path, error):
    def parts():
        yield b"new"
        raise error

    (tmp_path / "entry.json").write_bytes(b"old")
    with pytest.raises(error):
        write_atomically(tmp_path / "entry.json", parts())
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]
