"""Ants and bees, from a real server on this machine that stands in for the real one."""

from __future__ import annotations

import hashlib
import io
import zipfile

import pytest
from tests.http_server import Answer

from graft.download import staying_offline
from graft.errors import DataError, ResourceError
from graft.samples.hymenoptera import SHA256, write_hymenoptera
from graft.samples.write import staged_folder

FILES = {
    "hymenoptera_data/train/ants/1.jpg": b"ant",
    "hymenoptera_data/train/ants/imageNotFound.gif": b"GIF89a",
    "hymenoptera_data/train/bees/2.jpg": b"bee",
    "hymenoptera_data/val/ants/3.jpg": b"another ant",
    "hymenoptera_data/val/bees/4.jpg": b"another bee",
    "__MACOSX/hymenoptera_data/._train": b"rubbish",
}


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("GRAFT_CACHE", str(folder))
    return folder


def write(folder, site, **options):
    with staged_folder(folder) as staged:
        write_hymenoptera(staged, url=f"{site.address}/hymenoptera_data.zip", **options)


def test_the_set_arrives_as_folders_with_its_strange_file_and_without_the_rubbish(serve, tmp_path):
    content = zipped(FILES)
    write(tmp_path / "h", serve(content), sha256=hashlib.sha256(content).hexdigest())
    found = {path.relative_to(tmp_path / "h").as_posix() for path in tmp_path.rglob("*.*")}
    wanted = {name.partition("/")[2] for name in FILES if name.startswith("hymen")}
    assert found == wanted
    assert (tmp_path / "h/train/ants/1.jpg").read_bytes() == b"ant"


def test_the_archive_is_fetched_once(serve, tmp_path):
    site = serve(zipped(FILES))
    for name in ("one", "two"):
        write(tmp_path / name, site, sha256=None)
    assert len(site.asked) == 1


def test_another_archive_than_the_known_one_is_refused(serve, tmp_path, cache):
    with pytest.raises(ResourceError, match="damaged: its SHA-256"):
        write(tmp_path / "h", serve(zipped(FILES)), sha256=SHA256)
    assert not list(tmp_path.iterdir())
    assert not list(cache.rglob("*.zip"))


def test_a_server_that_refuses_leaves_nothing(serve, tmp_path):
    with pytest.raises(ResourceError, match="photographs of ants and bees could not be fetched"):
        write(tmp_path / "h", serve(b"", Answer(status=404)), sha256=None)
    assert not list(tmp_path.iterdir())


def test_an_archive_of_something_else_is_refused_and_leaves_nothing(serve, tmp_path):
    with pytest.raises(DataError, match="does not hold train/ants"):
        write(tmp_path / "h", serve(zipped({"cats/1.jpg": b"cat"})), sha256=None)
    assert not list(tmp_path.iterdir())


def test_offline_the_way_out_is_named_and_nothing_is_asked(serve, tmp_path):
    site = serve(zipped(FILES))
    with staying_offline(), pytest.raises(ResourceError, match="offline") as caught:
        write(tmp_path / "h", site)
    assert "digits" in caught.value.remedy
    assert "train|val/<class>/" in caught.value.remedy
    assert not site.asked
    assert not list(tmp_path.iterdir())
