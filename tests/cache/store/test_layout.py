"""A file of the cache is there as a whole or not at all."""

from __future__ import annotations

import pytest

from graft.cache.store.layout import TEMPORARY, write_whole


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_half_a_file_bears_the_name_of_a_temporary(tmp_path):
    def parts():
        yield b"first "
        [name] = names(tmp_path)
        assert TEMPORARY.fullmatch(name)
        yield memoryview(b"second")

    write_whole(tmp_path / "entry.json", parts())
    assert names(tmp_path) == ["entry.json"]
    assert (tmp_path / "entry.json").read_bytes() == b"first second"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_what_fails_half_way_leaves_the_old_and_no_rest(tmp_path, error):
    def parts():
        yield b"new"
        raise error

    (tmp_path / "entry.json").write_bytes(b"old")
    with pytest.raises(error):
        write_whole(tmp_path / "entry.json", parts())
    assert names(tmp_path) == ["entry.json"]
    assert (tmp_path / "entry.json").read_bytes() == b"old"
