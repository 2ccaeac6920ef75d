"""Activations come back as they were added, or not at all: whatever happens to the disk."""

from __future__ import annotations

import errno
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from graft.cache import storage as module
from graft.cache import store as module_store
from graft.cache.storage import DiskStorage, MemoryStorage, Writer
from graft.cache.store import Store
from tests.cache.activations import IDS, SIZE, flip, open_storage, shards, values_of

NAMES = st.lists(st.sampled_from([f"{image}:{view}" for image in "abcdef" for view in (0, 1)]))
ENOSPC = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")


@pytest.fixture
def storage(tmp_path):
    return open_storage(tmp_path / "features")


@pytest.fixture
def reopened(tmp_path):
    return lambda: open_storage(tmp_path / "features")


def fail(error):
    def failing(*_):
        raise error

    return failing


@settings(deadline=None, max_examples=60)
@given(
    steps=st.lists(st.tuples(st.sampled_from(["add", "read", "reopen"]), NAMES), max_size=12),
    size=st.integers(1, 7),
)
def test_any_sequence_of_adds_and_reads_gives_what_was_added(steps, size):
    known: set[str] = set()
    with tempfile.TemporaryDirectory() as root:
        storage = open_storage(Path(root), size=size)
        for step, ids in steps:
            if step == "reopen":
                storage = open_storage(Path(root), size=size)
            elif step == "add":
                assert storage.add(ids, values_of(ids, size))
                known.update(ids)
            there = [name in known for name in ids]
            values, right = storage.read(ids)
            assert right.tolist() == there
            assert storage.find(ids).tolist() == there
            assert values[right].tobytes() == values_of(ids, size)[right].tobytes()


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_what_is_not_there_is_said_to_be_missing_and_cannot_be_taken_for_numbers(kind, storage):
    kept = MemoryStorage(SIZE) if kind == "memory" else storage
    values = values_of(IDS)
    with kept.writer() as writer:
        writer.add(IDS, values)
    values[:] = 9  # the caller's buffer is used again
    read, right = kept.read(["b:0", "x:0", "a:0"])
    assert right.tolist() == kept.find(["b:0", "x:0", "a:0"]).tolist() == [True, False, True]
    assert np.isnan(read[1]).all()
    assert (read[right] == values_of(["b:0", "a:0"])).all()


def test_a_shard_is_a_plain_safetensors_file(storage):
    storage.add(IDS, values_of(IDS))
    [path] = shards(storage)
    tensors = load_file(path)
    assert set(tensors) == {"names", "values"}
    assert tensors["names"].shape == (5, 16)
    assert (tensors["values"] == values_of(IDS)).all()


@pytest.mark.parametrize(
    "values",
    [np.zeros((2, 9), np.float32), np.zeros((1, 10), np.float32), np.zeros((2, 10), np.float64)],
)
def test_activations_of_another_shape_or_dtype_are_refused(storage, values):
    with pytest.raises(ValueError, match="These activations are"):
        storage.add(["a:0", "b:0"], values)
    with storage.writer() as writer, pytest.raises(ValueError, match="These activations are"):
        writer.add(["a:0", "b:0"], values)


def test_activations_that_lie_apart_in_memory_are_added_as_they_are(storage):
    values = np.asfortranarray(values_of(IDS))
    storage.add(IDS, values)
    assert (storage.read(IDS)[0] == values).all()


def test_names_may_be_any_text(storage):
    ids = ["a:0", "a:1", "", "ä:0", "\udce9:0"]
    storage.add(ids, values_of(IDS))
    assert (storage.read(ids)[0] == values_of(IDS)).all()


def test_what_others_add_is_found_without_opening_anew(storage, reopened):
    other = reopened()
    assert not other.find(IDS).any()
    storage.add(IDS, values_of(IDS))
    assert other.read(IDS)[1].all()
    storage.add(["x:0"], values_of(["x:0"]))
    assert other.find(["x:0"]).all()


def test_nothing_is_made_on_disk_before_the_first_activations(storage):
    storage.find(IDS)
    storage.read(IDS)
    storage.add([], np.empty((0, SIZE), dtype=np.float32))
    with storage.writer() as writer:
        writer.add([], np.empty((0, SIZE), dtype=np.float32))
    assert not storage.folder.parent.exists()


@pytest.mark.parametrize("facts", [{"cut": "b"}, {"cut": "a", "seed": 0}, {}])
def test_other_facts_and_sizes_are_other_entries(tmp_path, facts):
    store = Store(tmp_path)
    one = DiskStorage(store, {"cut": "a"}, SIZE)
    assert DiskStorage(store, facts, SIZE).key != one.key
    assert DiskStorage(store, {"cut": "a"}, SIZE + 1).key != one.key
    assert DiskStorage(store, {"cut": "a"}, SIZE).key == one.key


def test_activations_of_no_numbers_are_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot be kept"):
        DiskStorage(Store(tmp_path), {}, 0)


# Damage


def test_damage_anywhere_in_a_shard_never_gives_wrong_numbers(storage, reopened):
    storage.add(IDS, values_of(IDS))
    [path] = shards(storage)
    whole = path.read_bytes()
    damages = {f"byte {at} flipped": flip(whole, at) for at in range(len(whole))}
    damages |= {f"cut to {size} bytes": whole[:size] for size in range(0, len(whole), 5)}
    damages |= {"longer": whole + b"\0", "zeros": bytes(len(whole))}
    for what, data in damages.items():
        path.write_bytes(data)
        damaged = reopened()
        values, right = damaged.read(IDS)
        # A name that was flipped is not found; whatever else is read proves the shard first.
        assert not right.any(), what
        assert np.isnan(values).all(), what
        assert not damaged.find(IDS).any(), what
        assert not path.exists(), what


def test_activations_of_a_damaged_shard_can_be_added_again(storage, reopened):
    storage.add(IDS, values_of(IDS))
    [path] = shards(storage)
    path.write_bytes(flip(path.read_bytes(), path.stat().st_size // 2))
    damaged = reopened()
    assert damaged.find(IDS).all(), "damage is found by reading"
    assert not damaged.read(IDS)[1].any()
    damaged.add(IDS, values_of(IDS))
    values, right = damaged.read(IDS)
    assert right.all()
    assert (values == values_of(IDS)).all()


def test_a_second_copy_stands_in_for_a_damaged_one(storage, reopened):
    for _ in range(3):
        storage.add(IDS, values_of(IDS))
    for path in shards(storage)[:2]:
        path.write_bytes(flip(path.read_bytes(), path.stat().st_size - 100))
    values, right = reopened().read(IDS)
    assert right.all()
    assert (values == values_of(IDS)).all()
    assert len(shards(storage)) == 1


def test_another_shard_under_its_name_is_not_believed(tmp_path, storage, reopened):
    other = open_storage(tmp_path / "features", "stage3")
    other.add(IDS, values_of(IDS) + 1)
    storage.add(["x:0"], values_of(["x:0"]))
    [theirs], [own] = shards(other), shards(storage)
    (storage.folder / theirs.name).write_bytes(theirs.read_bytes())
    assert reopened().read([*IDS, "x:0"])[1].tolist() == [False] * 5 + [True]
    theirs.replace(own)
    assert not reopened().read([*IDS, "x:0"])[1].any()


def test_a_shard_cut_short_after_it_was_checked_is_noticed(storage):
    storage.add(IDS, values_of(IDS))
    assert storage.read(IDS)[1].all()
    [path] = shards(storage)
    os.truncate(path, path.stat().st_size - 16 * len(IDS) - 1)
    values, right = storage.read(IDS[::-1])
    assert not right[0]
    assert np.isnan(values[~right]).all()
    assert (values[right] == values_of(IDS[::-1])[right]).all()


def test_without_preadv_the_same_bytes_are_read(storage, reopened, monkeypatch):
    storage.add(IDS, values_of(IDS))
    monkeypatch.delattr(os, "preadv", raising=False)
    values, right = reopened().read(IDS[::-1])
    assert right.all()
    assert (values == values_of(IDS[::-1])).all()


@pytest.mark.skipif(not hasattr(os, "preadv"), reason="there is none")
def test_a_system_that_gives_less_than_asked_for_is_asked_again(storage, reopened, monkeypatch):
    storage.add(IDS, values_of(IDS))
    read = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, buffers, at: read(file, [buffers[0][:7]], at))
    assert (reopened().read(IDS)[0] == values_of(IDS)).all()


def test_a_shard_that_goes_between_finding_and_reading_is_missed(storage):
    storage.add(IDS, values_of(IDS))
    assert storage.find(IDS).all()
    shards(storage)[0].unlink()
    assert not storage.read(IDS)[1].any()
    assert not storage.find(IDS).any()


def test_a_shard_out_of_reach_is_not_there_but_stays(storage, monkeypatch):
    storage.add(IDS, values_of(IDS))
    assert storage.find(IDS).all()
    monkeypatch.setattr(module, "open_regular", fail(OSError(errno.EIO, os.strerror(errno.EIO))))
    assert not storage.read(IDS)[1].any()
    assert not storage.find(IDS).any()
    assert shards(storage)


# What others put there


@posix
@pytest.mark.parametrize("kind", ["pipe", "folder", "link to nothing", "link", "foreign file"])
@pytest.mark.parametrize("place", ["shard", "facts", "entry", "temporary", "root"])
def test_strange_files_neither_hang_nor_crash_anything_nor_are_lost(
    tmp_path, storage, reopened, request, kind, place
):
    storage.add(IDS, values_of(IDS))
    places = {
        "shard": storage.folder / f"{'0' * 32}.safetensors",
        "facts": storage.folder / "entry.json",
        "entry": storage.folder,
        "temporary": storage.folder / f".{'0' * 32}.tmp",
        "root": tmp_path / "features",
    }
    path, away = places[place], tmp_path / "away"
    if path.exists():
        path.rename(away)
    away.touch() if not away.exists() else None
    make = {
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "link to nothing": lambda: path.symlink_to(tmp_path / "nothing"),
        "link": lambda: path.symlink_to(away),
        "foreign file": lambda: path.write_text("theirs"),
    }
    make[kind]()
    signal.signal(signal.SIGALRM, fail(RuntimeError("it hangs")))
    signal.alarm(60)
    request.addfinalizer(lambda: signal.alarm(0))
    other = reopened()
    other.find(IDS)
    with other.writer() as writer:
        writer.add(IDS, values_of(IDS))
    values, right = other.read(IDS)
    assert (values[right] == values_of(IDS)[right]).all()
    store = Store(tmp_path / "features")
    store.usage(), store.limit(), store.measure_disk()
    for item in store.entries():
        module_store.describe_entry(item.path), module_store.count_images(item.path)
    store.evict(0)
    if kind == "folder" and place != "entry":
        assert path.is_dir()
    if place in ("shard", "temporary"):
        assert right.all(), "what is beside a strange file is still used"
        assert away.exists()


@posix
def test_a_folder_that_is_read_only_costs_the_caching_not_the_run(tmp_path):
    code = (
        "import os, sys, pathlib\n"
        "import numpy as np\n"
        "from graft.cache.storage import DiskStorage\n"
        "from graft.cache.store import Store\n"
        "store = Store(sys.argv[1])\n"
        "one = DiskStorage(store, {'cut': 'a'}, 3)\n"
        "assert one.add(['a:0'], np.ones((1, 3), np.float32))\n"
        "for path in (one.folder, store.root): path.chmod(0o555)\n"
        "if os.geteuid() == 0: store.root.parent.chmod(0o755), os.setuid(65534)\n"
        "for cut in 'ab':\n"
        "    two = DiskStorage(Store(sys.argv[1]), {'cut': cut}, 3)\n"
        "    with two.writer() as writer: writer.add(['b:0'], np.ones((1, 3), np.float32))\n"
        "    assert 'cannot be written: Permission denied' in two.refused, two.refused\n"
        "    assert two.read(['a:0', 'b:0'])[1].tolist() == [cut == 'a', False]\n"
        "assert Store(sys.argv[1]).evict(0) == 0\n"
        "assert Store(sys.argv[1]).measure_disk() == (0, 0)\n"
    )
    root = Path(tempfile.mkdtemp())  # reachable by any user, unlike pytest's own
    done = subprocess.run([sys.executable, "-c", code, str(root / "features")], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


# Refusals


def test_a_full_disk_ends_the_adding_and_nothing_else(storage, monkeypatch):
    storage.add(IDS[:2], values_of(IDS[:2]))
    monkeypatch.setattr(module, "write_atomically", fail(ENOSPC))
    with storage.writer() as writer:
        writer.add(IDS[2:], values_of(IDS[2:]))
    assert "No space left on device" in storage.refused
    monkeypatch.undo()
    assert not storage.add(IDS[2:], values_of(IDS[2:])), "one refusal is enough"
    assert storage.read(IDS)[1].tolist() == [True, True, False, False, False]


@posix
def test_a_write_that_really_fails_leaves_nothing_behind(tmp_path):
    code = (
        "import resource, sys, numpy as np\n"
        "from graft.cache.storage import DiskStorage\n"
        "from graft.cache.store import Store\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "storage = DiskStorage(Store(sys.argv[1]), {}, 1000)\n"
        "assert storage.add(['small:0'], np.ones((1, 1000), np.float32))\n"
        "big = [f'{number}:0' for number in range(100)]\n"
        "assert not storage.add(big, np.ones((100, 1000), np.float32))\n"
        "assert 'cannot be written' in storage.refused, storage.refused\n"
        "assert storage.find(['small:0', *big]).tolist() == [True] + [False] * 100\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 2


def test_a_cache_that_cannot_be_made_is_refused_in_words(tmp_path):
    (tmp_path / "file").touch()
    storage = open_storage(tmp_path / "file" / "features")
    assert not storage.add(IDS, values_of(IDS))
    assert "cannot be written" in storage.refused
    assert str(tmp_path) in storage.refused
    assert not storage.read(IDS)[1].any()


def test_a_folder_that_is_cleared_during_a_write_is_made_again(storage, monkeypatch):
    storage.add(IDS[:1], values_of(IDS[:1]))
    write, calls = module.write_atomically, itertools.count()

    def cleared_once(path, parts):
        if not next(calls):
            for file in path.parent.iterdir():
                file.unlink()
            path.parent.rmdir()
        write(path, parts)

    monkeypatch.setattr(module, "write_atomically", cleared_once)
    assert storage.add(IDS[1:], values_of(IDS[1:]))
    assert storage.find(IDS).tolist() == [False, True, True, True, True]
    assert (storage.folder / "entry.json").exists()


def test_a_folder_that_is_always_cleared_ends_in_a_refusal(storage, monkeypatch):
    gone = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    monkeypatch.setattr(module, "write_atomically", fail(gone))
    assert not storage.add(IDS, values_of(IDS))
    assert storage.refused


def test_what_people_read_about_an_entry_is_mended_with_the_next_activations(storage):
    storage.add(IDS, values_of(IDS))
    facts = storage.folder / "entry.json"
    whole = facts.read_bytes()
    facts.write_bytes(b"{")
    storage.add(["x:0"], values_of(["x:0"]))
    assert facts.read_bytes() == whole


# The writer


def test_small_batches_become_large_shards(storage, monkeypatch):
    monkeypatch.setattr(module, "SHARD_BYTES", 4 * SIZE * 4)
    ids = [f"{number}:0" for number in range(10)]
    with storage.writer() as writer:
        for first in range(0, 10, 2):
            assert writer.add(ids[first : first + 2], values_of(ids[first : first + 2]))
        assert len(shards(storage)) == 2
    assert len(shards(storage)) == 3
    assert (storage.read(ids)[0] == values_of(ids)).all()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_was_computed_before_an_error_is_kept(storage, error):
    def interrupted():
        with storage.writer() as writer:
            writer.add(IDS[:4], values_of(IDS[:4]))
            raise error

    with pytest.raises(error):
        interrupted()
    assert storage.find(IDS).tolist() == [True] * 4 + [False]


def test_an_interrupt_while_a_shard_is_written_loses_nothing(storage, monkeypatch):
    write = module.write_atomically

    def interrupt_once(path, parts):
        monkeypatch.setattr(module, "write_atomically", write)
        raise KeyboardInterrupt

    def interrupted():
        with storage.writer() as writer:
            writer.add(IDS[:4], values_of(IDS[:4]))
            monkeypatch.setattr(module, "write_atomically", interrupt_once)
            writer.flush()

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert storage.read(IDS[:4])[1].all()


def test_a_refusal_is_told_and_costs_nothing_more(storage, monkeypatch):
    monkeypatch.setattr(module, "SHARD_BYTES", 1)
    storage.folder.parent.parent.mkdir(exist_ok=True)
    storage.folder.parent.touch()
    writer = Writer(storage)
    assert not writer.add(IDS[:1], values_of(IDS[:1]))
    monkeypatch.setattr(storage, "_write", lambda *_: pytest.fail("tried"))
    assert not writer.add(IDS, values_of(IDS))
    writer.flush()


# Many


def test_threads_may_add_and_read_at_once(storage):
    def work(number):
        ids = [f"{number + offset}:{view}" for offset in range(4) for view in range(3)]
        for name in ids:
            storage.add([name], values_of([name]))
        values, right = storage.read(ids)
        return right.all() and (values == values_of(ids)).all()

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(16)))


def test_knowing_100_000_images_takes_little_memory(tmp_path):
    ids = [f"{number}:0" for number in range(100_000)]
    open_storage(tmp_path, size=1).add(ids, np.zeros((len(ids), 1), dtype=np.float32))
    again = open_storage(tmp_path, size=1)
    tracemalloc.start()
    assert again.find(ids[:1]).all()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 15e6


def test_reading_takes_no_more_memory_than_what_is_read(tmp_path):
    ids = [f"{number}:0" for number in range(400)]
    open_storage(tmp_path, size=20_000).add(ids, np.zeros((400, 20_000), dtype=np.float32))
    storage = open_storage(tmp_path, size=20_000)
    tracemalloc.start()
    for first in range(0, 400, 40):
        assert storage.read(ids[first : first + 40])[1].all()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * 40 * 80_000 + 2e6


def test_use_leaves_its_stamp(storage, reopened):
    storage.add(IDS, values_of(IDS))
    facts = storage.folder / "entry.json"
    os.utime(facts, (0, 0))
    reopened().find(IDS)
    assert facts.stat().st_mtime > 0
