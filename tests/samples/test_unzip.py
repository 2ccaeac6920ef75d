"""A foreign archive is unpacked below its folder, bounded, or not at all."""

from __future__ import annotations

import stat
import zipfile

import pytest

from graft.errors import DataError
from graft.samples.hymenoptera import unzip


def archive(tmp_path, entries):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in entries:
            made.writestr(name, content)
    return path


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.mark.parametrize(
    "name", ["../escaped.txt", "a/../../escaped.txt", "/escaped.txt", "C:/x.txt", "a\\..\\x.txt"]
)
def test_no_entry_leads_out_of_the_folder(tmp_path, out, name):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("first.txt", "1")
        entry = zipfile.ZipInfo("x")
        entry.filename = name  # as an attacker would: the constructor cleans some names
        opened.writestr(entry, "2")
    with pytest.raises(DataError, match="leads out"):
        unzip(path, out)
    assert not list(out.iterdir())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "out"]


def test_links_are_refused(tmp_path, out):
    entry = zipfile.ZipInfo("link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(DataError, match="link or a device"):
        unzip(archive(tmp_path, [(entry, "/etc/passwd")]), out)
    assert not list(out.iterdir())


def test_a_bomb_is_stopped_by_what_comes_out_of_it(tmp_path, out):
    path = archive(tmp_path, [("a.bin", bytes(3 << 20)), ("b.bin", bytes(3 << 20))])
    assert path.stat().st_size < 1 << 16
    with pytest.raises(DataError, match="more than is allowed"):
        unzip(path, out, most_bytes=4 << 20)
    assert sum(p.stat().st_size for p in out.iterdir()) <= 4 << 20


def test_too_many_entries_are_refused(tmp_path, out):
    path = archive(tmp_path, [(f"{n}.txt", "") for n in range(11)])
    with pytest.raises(DataError, match="11 entries"):
        unzip(path, out, most_files=10)


def test_a_damaged_archive_is_named(tmp_path, out):
    path = archive(tmp_path, [("a.txt", "ants " * 1000)])
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match="not a whole ZIP archive"):
        unzip(path, out)
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match="not a whole ZIP archive"):
        unzip(path, out)


def test_folders_and_files_arrive_as_they_were(tmp_path, out):
    unzip(archive(tmp_path, [("set/", ""), ("set/ants/1.jpg", b"\x00ant")]), out)
    assert (out / "set/ants/1.jpg").read_bytes() == b"\x00ant"
