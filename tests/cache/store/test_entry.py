"""Rows come back as they were added, or not at all: whatever happens to the disk."""

from __future__ import annotations

import errno
import itertools
import os
import subprocess
import sys
import tempfile
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.cache.store import open_shards, positional, shard
from graft.cache.store.store import Store

IDS = ["a:0", "b:0", "c:0", "c:1", "d:0"]
NAMES = st.lists(st.sampled_from([f"{image}:{view}" for image in "abcdef" for view in (0, 1)]))


@settings(deadline=None, max_examples=100)
@given(
    steps=st.lists(st.tuples(st.sampled_from(["add", "read", "reopen"]), NAMES), max_size=12),
    size=st.integers(1, 7),
    block_bytes=st.integers(1, 100),
    preadv=st.booleans(),
    dtype=st.sampled_from(["float32", "float16", "int64"]),
)
def test_any_sequence_of_adds_and_reads_gives_what_was_added(
    rows_of, steps, size, block_bytes, preadv, dtype
):
    known: set[str] = set()
    with (
        tempfile.TemporaryDirectory() as root,
        patch.object(shard, "BLOCK_BYTES", block_bytes),
        patch.object(positional, "PREADV", preadv and positional.PREADV),
        patch.object(positional, "MOST", 2),
    ):
        entry = Store(root).entry({"cut": "head"}, size, dtype)
        for step, ids in steps:
            if step == "reopen":
                entry = Store(root).entry({"cut": "head"}, size, dtype)
            elif step == "add":
                assert entry.add(ids, (100 * rows_of(ids, size)).astype(dtype))
                known.update(ids)
            there = [row in known for row in ids]
            rows, right = entry.read(ids)
            assert right.tolist() == there
            assert entry.find(ids).tolist() == there
            expected = (100 * rows_of(ids, size)).astype(dtype)
            assert rows[right].tobytes() == expected[right].tobytes()


def test_rows_that_are_not_there_cannot_be_taken_for_numbers(entry, rows_of):
    entry.add(["a:0"], rows_of(["a:0"]))
    rows, right = entry.read(["b:0", "a:0"])
    assert right.tolist() == [False, True]
    assert np.isnan(rows[0]).all()


def test_rows_are_read_into_the_room_that_is_given(entry, rows_of):
    entry.add(IDS, rows_of(IDS))
    room = np.zeros((6, 10), dtype=np.float32)
    rows, _ = entry.read(IDS[::-1], room[1:])
    assert np.shares_memory(rows, room)
    assert (room[1:] == rows_of(IDS[::-1])).all()
    assert (room[0] == 0).all()


@pytest.mark.parametrize(
    "rows",
    [np.zeros((2, 9), np.float32), np.zeros((1, 10), np.float32), np.zeros((2, 10), np.float64)],
)
def test_rows_of_another_shape_or_dtype_are_refused(entry, rows):
    with pytest.raises(ValueError, match="These rows are"):
        entry.add(["a:0", "b:0"], rows)
    with pytest.raises(ValueError, match="These rows are"):
        entry.read(["a:0", "b:0"], rows)


def test_room_that_is_not_contiguous_is_refused(entry):
    with pytest.raises(ValueError, match="contiguous"):
        entry.read(["a:0"], np.zeros((1, 20), dtype=np.float32)[:, ::2])


def test_rows_that_lie_apart_in_memory_are_added_as_they_are(entry, rows_of):
    rows = np.asfortranarray(rows_of(IDS))
    entry.add(IDS, rows)
    assert (entry.read(IDS)[0] == rows).all()


def test_rows_of_others_are_found_without_opening_anew(entry, reopened, rows_of):
    other = reopened()
    assert not other.find(IDS).any()
    entry.add(IDS, rows_of(IDS))
    assert other.find(IDS).all()


def test_nothing_is_made_on_disk_before_the_first_row(entry):
    entry.find(IDS)
    entry.read(IDS)
    entry.add([], np.empty((0, 10), dtype=np.float32))
    with entry.writer() as writer:
        writer.add([], np.empty((0, 10), dtype=np.float32))
    assert not entry.folder.parent.exists()


# Damage


def damages(data: bytes) -> dict[str, bytes]:
    found = {f"byte {at} flipped": flip(data, at) for at in range(len(data))}
    found |= {f"cut to {size} bytes": data[:size] for size in range(0, len(data), 5)}
    found["longer"] = data + b"\0"
    found["zeros"] = bytes(len(data))
    return found


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


@pytest.mark.usefixtures("small_blocks")
def test_damage_anywhere_in_a_shard_never_gives_wrong_numbers(entry, reopened, rows_of, shard_of):
    entry.add(IDS, rows_of(IDS))
    path = shard_of(entry)
    whole = path.read_bytes()
    noticed = 0
    for words, data in damages(whole).items():
        path.write_bytes(data)
        damaged = reopened()
        rows, right = damaged.read(IDS)
        assert rows[right].tobytes() == rows_of(IDS)[right].tobytes(), words
        assert (damaged.find(IDS) == right).all(), words
        assert path.exists() == right.all(), words
        noticed += not right.any()
        path.unlink(missing_ok=True)
    padding = shard.Header(entry.key, 5, 10, "<f4", 2)
    unused = padding.start - padding.checked_bytes - shard.SUM_BYTES
    assert noticed == len(damages(whole)) - unused


@pytest.mark.usefixtures("small_blocks")
def test_rows_of_a_damaged_shard_can_be_added_again(entry, reopened, rows_of, shard_of):
    entry.add(IDS, rows_of(IDS))
    path = shard_of(entry)
    path.write_bytes(flip(path.read_bytes(), -1 + path.stat().st_size))
    damaged = reopened()
    assert damaged.find(IDS).all()
    assert damaged.read(IDS[:2])[1].all(), "the first block is as it was"
    assert not damaged.read(IDS[-1:])[1].any()
    damaged.add(IDS, rows_of(IDS))
    rows, right = damaged.read(IDS)
    assert right.all()
    assert (rows == rows_of(IDS)).all()


def test_a_second_copy_stands_in_for_a_damaged_one(entry, reopened, rows_of):
    for _ in range(3):
        entry.add(IDS, rows_of(IDS))
    for path in sorted(entry.folder.glob("*.rows"))[:2]:
        path.write_bytes(flip(path.read_bytes(), path.stat().st_size - 3))
    rows, right = reopened().read(IDS)
    assert right.all()
    assert (rows == rows_of(IDS)).all()
    assert len(list(entry.folder.glob("*.rows"))) == 1


def test_a_shard_of_another_entry_is_not_believed(tmp_path, entry, rows_of, shard_of, reopened):
    other = Store(tmp_path / "features").entry({"cut": "stage3"}, 10)
    other.add(IDS, rows_of(IDS) + 1)
    entry.add(["x:0"], rows_of(["x:0"]))
    shard_of(other).replace(entry.folder / shard_of(other).name)
    assert reopened().find([*IDS, "x:0"]).tolist() == [False] * 5 + [True]


def test_a_folder_in_the_place_of_a_shard_is_left_alone(entry, rows_of, reopened):
    entry.add(IDS, rows_of(IDS))
    strange = entry.folder / f"{'0' * 32}.rows"
    strange.mkdir()
    assert reopened().read(IDS)[1].all()
    assert strange.is_dir()


@pytest.mark.parametrize("preadv", [True, False])
def test_a_shard_cut_short_after_it_was_checked_is_noticed(
    entry, rows_of, shard_of, monkeypatch, preadv
):
    monkeypatch.setattr(positional, "PREADV", preadv and positional.PREADV)
    entry.add(IDS, rows_of(IDS))
    assert entry.read(IDS)[1].all()
    os.truncate(shard_of(entry), shard_of(entry).stat().st_size - 1)
    rows, right = entry.read(IDS[::-1])
    assert not right.any()
    assert np.isnan(rows).all()


def test_a_shard_that_goes_between_finding_and_reading_is_missed(
    entry, rows_of, shard_of, monkeypatch
):
    entry.add(IDS, rows_of(IDS))
    assert entry.find(IDS).all()
    monkeypatch.setattr(entry._shards, "_look", lambda: None)
    shard_of(entry).unlink()
    assert not entry.read(IDS)[1].any()
    assert not entry.find(IDS).any()


def test_a_shard_out_of_reach_is_not_there_but_stays(entry, rows_of, shard_of, monkeypatch):
    entry.add(IDS, rows_of(IDS))
    calls = itertools.count()

    def refuse(*_):
        assert next(calls) < 3, "tried over and over"
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(shard, "read_into", refuse)
    assert not entry.read(IDS)[1].any()
    assert not entry.find(IDS).any()
    assert shard_of(entry).exists()


def test_what_people_read_about_an_entry_is_mended_with_the_next_rows(entry, rows_of):
    entry.add(IDS, rows_of(IDS))
    facts = entry.folder / "entry.json"
    whole = facts.read_bytes()
    facts.write_bytes(b"{")
    entry.add(["x:0"], rows_of(["x:0"]))
    assert facts.read_bytes() == whole
    assert entry.find([*IDS, "x:0"]).all()


# Refusals


def test_a_full_disk_ends_the_adding_and_nothing_else(entry, rows_of, monkeypatch):
    entry.add(IDS[:2], rows_of(IDS[:2]))
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(shard, "write_whole", lambda *_: (_ for _ in ()).throw(full))
    with entry.writer() as writer:
        writer.add(IDS[2:], rows_of(IDS[2:]))
    assert "No space left on device" in entry.refused
    monkeypatch.undo()
    assert not entry.add(IDS[2:], rows_of(IDS[2:])), "one refusal is enough"
    assert entry.read(IDS)[1].tolist() == [True, True, False, False, False]


@pytest.mark.skipif(os.name == "nt", reason="needs a limit on the size of files")
def test_a_write_that_really_fails_leaves_no_rest(tmp_path):
    code = (
        "import resource, sys, numpy as np\n"
        "from graft.cache.store.store import Store\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "entry = Store(sys.argv[1]).entry({}, 1000)\n"
        "assert entry.add(['small:0'], np.ones((1, 1000), np.float32))\n"
        "big = [f'{number}:0' for number in range(100)]\n"
        "assert not entry.add(big, np.ones((100, 1000), np.float32))\n"
        "assert 'cannot be written' in entry.refused, entry.refused\n"
        "assert entry.find(['small:0', *big]).tolist() == [True] + [False] * 100\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 2


def test_a_cache_that_cannot_be_made_is_refused_in_words(tmp_path, rows_of):
    (tmp_path / "file").touch()
    entry = Store(tmp_path / "file" / "features").entry({}, 10)
    assert not entry.add(IDS, rows_of(IDS))
    assert "cannot be written" in entry.refused
    assert str(tmp_path) in entry.refused
    assert not entry.read(IDS)[1].any()


def test_a_folder_that_is_cleared_during_a_write_is_made_again(entry, rows_of, monkeypatch):
    entry.add(IDS[:1], rows_of(IDS[:1]))
    write, calls = shard.write_whole, itertools.count()

    def cleared_once(path, parts):
        if not next(calls):
            for file in path.parent.iterdir():
                file.unlink()
            path.parent.rmdir()
        write(path, parts)

    monkeypatch.setattr(shard, "write_whole", cleared_once)
    assert entry.add(IDS[1:], rows_of(IDS[1:]))
    assert entry.find(IDS).tolist() == [False, True, True, True, True]
    assert (entry.folder / "entry.json").exists()


def test_a_folder_that_is_always_cleared_ends_in_a_refusal(entry, rows_of, monkeypatch):
    gone = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    monkeypatch.setattr(shard, "write_whole", lambda *_: (_ for _ in ()).throw(gone))
    assert not entry.add(IDS, rows_of(IDS))
    assert entry.refused


# Many


def test_threads_may_add_and_read_at_once(entry, rows_of):
    def work(number):
        ids = [f"{number + offset}:{view}" for offset in range(4) for view in range(3)]
        for row in ids:
            entry.add([row], rows_of([row]))
        rows, right = entry.read(ids)
        return right.all() and (rows == rows_of(ids)).all()

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(16)))


def test_the_index_of_100_000_rows_takes_little_memory(tmp_path):
    store = Store(tmp_path)
    ids = [f"{number}:0" for number in range(100_000)]
    store.entry({}, 1).add(ids, np.zeros((len(ids), 1), dtype=np.float32))
    again = Store(tmp_path).entry({}, 1)
    tracemalloc.start()
    assert again.find(ids[:1]).all()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 15e6


def test_reading_into_room_takes_no_more_memory_than_a_block(tmp_path):
    ids = [f"{number}:0" for number in range(400)]
    Store(tmp_path).entry({}, 20_000).add(ids, np.zeros((400, 20_000), dtype=np.float32))
    entry = Store(tmp_path).entry({}, 20_000)
    room = np.ones((400, 20_000), dtype=np.float32)
    tracemalloc.start()
    for _ in range(2):
        assert entry.read(ids[::-1], room)[1].all()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * shard.BLOCK_BYTES + 1e6
    assert not room.any()


def test_use_leaves_its_stamp(entry, reopened, rows_of):
    entry.add(IDS, rows_of(IDS))
    facts = entry.folder / "entry.json"
    os.utime(facts, (0, 0))
    reopened().find(IDS)
    assert facts.stat().st_mtime > 0


def test_a_folder_that_did_not_change_is_not_listed_again(entry, reopened, rows_of, monkeypatch):
    entry.add(IDS, rows_of(IDS))
    os.utime(entry.folder, (1, 1))
    settled = reopened()
    assert settled.find(IDS).all()
    monkeypatch.setattr(open_shards, "listing", lambda _: pytest.fail("listed again"))
    assert settled.read(IDS)[1].all()
