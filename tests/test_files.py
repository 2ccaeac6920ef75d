"""Promises of writing: whole or absent, and a full disk has a name."""

import errno
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

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


@pytest.mark.skipif(os.name == "nt", reason="modes are those of Unix")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_file_gets_the_mode_of_an_ordinary_new_one_whatever_wrote_it(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with replacing(tmp_path / "model.safetensors") as temporary:
            save_file({"a": torch.zeros(1)}, temporary)
    finally:
        os.umask(before)
    assert (tmp_path / "model.safetensors").stat().st_mode & 0o777 == mode
