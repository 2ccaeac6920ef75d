"""Rows that were computed are never lost, and come in shards worth a file."""

from __future__ import annotations

import numpy as np
import pytest

from graft.cache.store import shard
from graft.cache.store.writer import Writer

IDS = [f"{number}:0" for number in range(10)]


def shards(entry):
    return len(list(entry.folder.glob("*.rows")))


def test_small_batches_become_large_shards(entry, rows_of):
    with Writer(entry, shard_bytes=4 * entry.row_bytes) as writer:
        for first in range(0, 10, 3):
            assert writer.add(IDS[first : first + 3], rows_of(IDS[first : first + 3]))
        assert shards(entry) == 2
    assert shards(entry) == 3
    assert (entry.read(IDS)[0] == rows_of(IDS)).all()


def test_a_batch_larger_than_a_shard_is_divided(entry, rows_of):
    with Writer(entry, shard_bytes=1) as writer:
        writer.add(IDS, rows_of(IDS))
    assert shards(entry) == 10
    assert entry.read(IDS)[1].all()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_was_computed_before_an_error_is_kept(entry, rows_of, error):
    def interrupted():
        with entry.writer() as writer:
            writer.add(IDS[:4], rows_of(IDS[:4]))
            raise error

    with pytest.raises(error):
        interrupted()
    assert entry.find(IDS).tolist() == [True] * 4 + [False] * 6


def test_an_interrupt_while_a_shard_is_written_loses_nothing(entry, rows_of, monkeypatch):
    write = shard.write_whole

    def interrupt_once(path, parts):
        monkeypatch.setattr(shard, "write_whole", write)
        raise KeyboardInterrupt

    def interrupted():
        with Writer(entry, shard_bytes=4 * entry.row_bytes) as writer:
            writer.add(IDS[:4], rows_of(IDS[:4]))

    monkeypatch.setattr(shard, "write_whole", interrupt_once)
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert entry.read(IDS[:4])[1].all()


def test_the_callers_rows_may_be_overwritten_at_once(entry, rows_of):
    room = rows_of(IDS[:1])
    with entry.writer() as writer:
        writer.add(IDS[:1], room)
        room[:] = 0
    assert (entry.read(IDS[:1])[0] == rows_of(IDS[:1])).all()


def test_what_is_flushed_is_found(entry, rows_of):
    writer = entry.writer()
    writer.add(IDS, rows_of(IDS))
    assert not entry.find(IDS).any()
    assert writer.flush()
    assert entry.find(IDS).all()
    writer.add(["x:0"], rows_of(["x:0"]))
    assert writer.flush()
    assert entry.find(["x:0"]).all()


def test_a_refusal_is_told_and_costs_nothing_more(entry, rows_of, monkeypatch):
    entry.folder.parent.parent.mkdir(exist_ok=True)
    entry.folder.parent.touch()
    with Writer(entry, shard_bytes=2 * entry.row_bytes) as writer:
        assert writer.add(IDS[:1], rows_of(IDS[:1]))
        assert not writer.add(IDS[1:], rows_of(IDS[1:]))
        assert entry.refused
        monkeypatch.setattr(entry, "add", lambda ids, _: pytest.fail("tried") if ids else None)
        assert not writer.add(IDS, rows_of(IDS))
        assert not writer.flush()


def test_rows_of_another_shape_are_refused_at_once(entry):
    with pytest.raises(ValueError, match="These rows are"):
        entry.writer().add(IDS, np.zeros((10, 3), dtype=np.float32))
