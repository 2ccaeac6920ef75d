"""Promises of writing: whole or absent, and a full disk has a name."""

import errno
from pathlib import Path

import pytest

from graft.errors import ResourceError
from graft.files import refusals_are_named, replacing, write_json


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail_half_way():
        with replacing(target) as temporary:
            temporary.write_text("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device /dev/full")
def test_a_really_full_disk_is_a_resource_error():
    def fill():
        with refusals_are_named("/dev/full"), Path("/dev/full").open("w") as file:
            file.write("x" * 100_000)

    with pytest.raises(ResourceError, match="disk is full") as caught:
        fill()
    assert caught.value.exit_code == 4


def test_a_folder_one_may_not_write_to_is_named():
    def refuse():
        with refusals_are_named("place"):
            raise PermissionError(errno.EACCES, "Permission denied")

    with pytest.raises(ResourceError, match="cannot be written: Permission denied"):
        refuse()


def test_json_with_nan_is_refused_rather_than_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert not list(tmp_path.iterdir())
