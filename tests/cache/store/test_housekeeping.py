"""Only what the cache made is counted and removed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from graft.cache.store import housekeeping
from graft.cache.store.layout import fresh_temporary

IDS = ["a:0", "b:0"]
HOUR = 3600


def rest_of_a_crash(folder: Path, age: float) -> Path:
    path = fresh_temporary(folder)
    path.write_bytes(bytes(100))
    os.utime(path, (time.time() - age,) * 2)
    return path


@pytest.fixture
def root(entry, rows_of) -> Path:
    entry.add(IDS, rows_of(IDS))
    return entry.folder.parent


def test_an_entry_is_seen_with_its_bytes_and_rows(root, entry, rows_of):
    entry.add(IDS, rows_of(IDS))
    [holding] = housekeeping.holdings(root)
    assert holding.path == entry.folder
    assert holding.bytes == sum(path.stat().st_size for path in entry.folder.iterdir())
    assert housekeeping.count_rows(entry.folder) == 4
    assert housekeeping.document(entry.folder)["facts"] == {"cut": "stage4"}


def test_a_damaged_shard_counts_no_rows(root, entry, shard_of):
    with shard_of(entry).open("ab") as file:
        file.write(b"more")
    assert housekeeping.count_rows(entry.folder) == 0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"facts": NaN}', "\x00", "[" * 100_000])
def test_facts_that_cannot_be_read_are_none(root, entry, text):
    (entry.folder / "entry.json").write_text(text)
    assert housekeeping.document(entry.folder) == {}


def test_rests_of_crashes_go_after_an_hour(root, entry):
    old = [rest_of_a_crash(folder, 2 * HOUR) for folder in (root, entry.folder)]
    young = rest_of_a_crash(entry.folder, HOUR / 2)
    assert housekeeping.evict(root, 1 << 40) == 200
    assert not any(path.exists() for path in old)
    assert young.exists()
    assert entry.read(IDS)[1].all()


def test_what_others_put_there_stays(root, entry):
    others = [
        root / "notes.txt",
        root / ("f" * 64) / "theirs.bin",
        root / "short" / "entry.json",
        entry.folder / "notes.txt",
        entry.folder / "sub" / "entry.json",
        entry.folder / "0.rows",
        entry.folder / ".hidden.tmp",
    ]
    for path in others:
        path.parent.mkdir(exist_ok=True)
        path.write_text("theirs")
    housekeeping.evict(root, 0)
    assert all(path.read_text() == "theirs" for path in others)
    assert not (entry.folder / "entry.json").exists()
    assert housekeeping.usage(root) == 0


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_are_not_followed(root, entry, tmp_path):
    entry.folder.rename(tmp_path / "elsewhere")
    entry.folder.symlink_to(tmp_path / "elsewhere")
    assert housekeeping.holdings(root) == []
    housekeeping.evict(root, 0)
    assert len(list((tmp_path / "elsewhere").iterdir())) == 2


def test_an_entry_without_its_facts_is_kept_house_with_too(root, entry):
    (entry.folder / "entry.json").unlink()
    [holding] = housekeeping.holdings(root)
    assert holding.bytes > 0
    assert housekeeping.remove(entry.folder) == holding.bytes
    assert not entry.folder.exists()


def test_what_may_not_be_removed_stops_no_eviction(root, monkeypatch):
    def refuse(_):
        raise PermissionError

    monkeypatch.setattr(housekeeping, "remove", refuse)
    assert housekeeping.evict(root, 0) == 0
