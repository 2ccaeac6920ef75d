"""Every byte lands where it belongs, however little the system gives at a time."""

from __future__ import annotations

import os
from io import FileIO

import pytest

from graft.cache.store import positional
from graft.cache.store.positional import read_into

DATA = bytes(range(256)) * 10


@pytest.fixture
def file(tmp_path):
    (tmp_path / "data").write_bytes(DATA)
    with FileIO(tmp_path / "data") as file:
        yield file


def read(file, lengths, offset):
    buffers = [bytearray(length) for length in lengths]
    read_into(file, [memoryview(buffer) for buffer in buffers], offset)
    return b"".join(buffers)


@pytest.mark.parametrize("lengths", [[1], [100, 1, 1000], [3] * 700])
@pytest.mark.parametrize("most", [0, 1, 7, 150, 5000])
def test_a_system_that_gives_less_than_asked_for_is_asked_again(file, lengths, most, monkeypatch):
    def little(descriptor, buffers, offset):
        data = os.pread(descriptor, min(most, sum(map(len, buffers))), offset)
        left = data
        for buffer in buffers:
            part, left = left[: len(buffer)], left[len(buffer) :]
            buffer[: len(part)] = part
        return len(data)

    monkeypatch.setattr(os, "preadv", little, raising=False)
    assert read(file, lengths, 5) == DATA[5 : 5 + sum(lengths)]


@pytest.mark.parametrize("preadv", [True, False])
def test_a_file_that_ends_too_early_is_told(file, monkeypatch, preadv):
    monkeypatch.setattr(positional, "PREADV", preadv and positional.PREADV)
    with pytest.raises(EOFError):
        read(file, [10, 10], len(DATA) - 19)
    assert read(file, [10, 10], len(DATA) - 20) == DATA[-20:]
