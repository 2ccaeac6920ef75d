"""Promises of writing: whole or absent, and a full disk has a name."""

import errno
import json
import os
import signal
import stat
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.torch import save_file

from graft.errors import RecipeError, ResourceError
from graft.files import (
    atomic_write,
    from_cell,
    json_text,
    locked,
    sweep,
    to_cell,
    wrap_os_errors,
    writable_path,
    write_json,
)


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail_half_way():
        with atomic_write(target) as temporary:
            temporary.write_text("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device /dev/full")
def test_a_really_full_disk_is_a_resource_error():
    def fill():
        with wrap_os_errors("/dev/full"), Path("/dev/full").open("w") as file:
            file.write("x" * 100_000)

    with pytest.raises(ResourceError, match="disk is full") as caught:
        fill()
    assert caught.value.exit_code == 4


def test_a_folder_one_may_not_write_to_is_named():
    def refuse():
        with wrap_os_errors("place"):
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
        with atomic_write(tmp_path / "model.safetensors") as temporary:
            save_file({"a": torch.zeros(1)}, temporary)
    finally:
        os.umask(before)
    assert (tmp_path / "model.safetensors").stat().st_mode & 0o777 == mode


def test_what_safetensors_cannot_write_is_a_resource_error(tmp_path):
    def vanish():
        with wrap_os_errors(tmp_path / "gone" / "model.safetensors"):
            save_file({"a": torch.zeros(3)}, tmp_path / "gone" / "model.safetensors")

    with pytest.raises(ResourceError, match="moved, renamed or deleted"):
        vanish()


def test_a_disk_that_is_full_for_safetensors_is_full():
    def fill():
        with wrap_os_errors("place"):
            raise SafetensorError("I/O error: No space left on device (os error 28)")

    with pytest.raises(ResourceError, match="disk is full"):
        fill()


def test_what_safetensors_says_of_a_damaged_file_stays_its_own():
    def misread():
        with wrap_os_errors("place"):
            raise SafetensorError("Error while deserializing header")

    with pytest.raises(SafetensorError):
        misread()


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 250, "ok/" + "ü" * 120 + "/ok"])
def test_a_path_that_no_file_system_can_have_is_refused(path):
    with pytest.raises(RecipeError):
        writable_path(path)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs users")
def test_a_path_below_a_folder_that_may_not_be_searched_is_named(tmp_path):
    shut = tmp_path / "shut"
    shut.mkdir(mode=0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        with pytest.raises(ResourceError, match="Permission denied"):
            writable_path(shut / "run")
    finally:
        if root:
            os.seteuid(0)


def test_only_names_of_temporary_files_are_swept(tmp_path):
    kept = [".tmp", ".hidden", "a.tmp", ".a.tmp", ".gitignore", ".tmpfile.txt"]
    for name in (*kept, ".run.json.0123456789ab.tmp", ".tmpaB3xYz"):
        (tmp_path / name).touch()
    (tmp_path / ".step-3.0123456789ab.tmp" / "inner").mkdir(parents=True)
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(kept)


def test_a_lock_is_of_one_holder_and_leaves_nothing(tmp_path):
    for _ in range(2):
        with locked(tmp_path), pytest.raises(BlockingIOError), locked(tmp_path):
            raise AssertionError("never entered")
    assert not list(tmp_path.iterdir())


def test_where_a_folder_cannot_be_locked_a_file_beside_it_is(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    lock = fcntl.flock

    def files_alone(descriptor, operation):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, "Bad file descriptor")
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", files_alone)
    folder = tmp_path / "run"
    folder.mkdir()
    for _ in range(2):
        with locked(folder), pytest.raises(BlockingIOError), locked(folder):
            raise AssertionError("never entered")
    assert list(tmp_path.iterdir()) == [folder]
    monkeypatch.setattr(fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOLCK, "")))
    with locked(folder), locked(folder):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_a_killed_holder_holds_nothing(tmp_path):
    child = os.fork()
    if child == 0:
        with locked(tmp_path):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    with locked(tmp_path):
        pass


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_a_cell_gives_its_text_back_and_nothing_in_it_acts(text):
    cell = to_cell(text)
    assert from_cell(cell) == text
    assert all(c.isprintable() or "\udc80" <= c <= "\udcff" for c in cell)
    assert not cell.startswith(("=", "+", "-", "@"))


@given(st.text())
def test_json_gives_its_text_back_and_every_character_prints(text):
    shown = json_text({"name": text})
    assert json.loads(shown) == {"name": text}
    assert shown.isprintable()
