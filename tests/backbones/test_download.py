"""Published weights: fetched once, checked, from a real HTTP server on this machine."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import socket
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from tests.http_server import Answer, Serve

from graft.backbones.build import build
from graft.backbones.load import load_backbone
from graft.backbones.providers import find_provider, torchvision
from graft.backbones.weights import cached_download
from graft.download import staying_offline
from graft.errors import ResourceError

CONTENT = b"weights" * 50_000
HASH = hashlib.sha256(CONTENT).hexdigest()
NAME = f"net-{HASH[:8]}.pth"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graft.download.PAUSE", 0.0)


def test_a_file_with_the_right_checksum_arrives_whole(serve: Serve, tmp_path: Path) -> None:
    file = cached_download(f"{serve(CONTENT).address}/{NAME}", tmp_path)

    assert file == tmp_path / NAME
    assert file.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [file]


def test_a_cached_file_is_not_fetched_again(serve: Serve, tmp_path: Path) -> None:
    site = serve(CONTENT)
    for _ in range(2):
        cached_download(f"{site.address}/{NAME}", tmp_path)

    assert len(site.asked) == 1


def test_without_a_terminal_a_download_is_quiet(
    serve: Serve, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cached_download(f"{serve(CONTENT).address}/{NAME}", tmp_path)

    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_on_a_terminal_progress_is_drawn_on_stderr_alone(
    serve: Serve,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    import pty

    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    with open(theirs, "w") as stderr:  # noqa: PTH123 - a descriptor
        monkeypatch.setattr(sys, "stderr", stderr)
        cached_download(f"{serve(CONTENT).address}/{NAME}", tmp_path)

        assert NAME.encode() in os.read(ours, 1 << 16)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("known", [None, "0" * 64], ids=["in the name", "given"])
def test_a_wrong_checksum_is_refused_and_leaves_no_file(
    serve: Serve, tmp_path: Path, known: str | None
) -> None:
    name = "net.pth" if known else "net-00000000.pth"

    with pytest.raises(ResourceError, match="damaged: its SHA-256 begins with") as caught:
        cached_download(f"{serve(CONTENT).address}/{name}", tmp_path, sha256=known)

    assert caught.value.exit_code == 4
    assert "--weights FILE" in caught.value.remedy
    assert not list(tmp_path.iterdir())


def test_a_cached_file_with_another_checksum_than_given_is_replaced(
    serve: Serve, tmp_path: Path
) -> None:
    (tmp_path / "net.pth").write_bytes(b"another file of that name")

    file = cached_download(f"{serve(CONTENT).address}/net.pth", tmp_path, sha256=HASH)

    assert file.read_bytes() == CONTENT


def test_a_replacement_that_fails_leaves_the_old_file(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(b"old")
    site = serve(CONTENT, Answer(status=404))

    with pytest.raises(ResourceError):
        cached_download(f"{site.address}/net.pth", tmp_path, sha256=HASH)

    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("net.pth", b"old")]


def test_a_broken_transfer_is_repeated_and_checked(serve: Serve, tmp_path: Path) -> None:
    site = serve(CONTENT, Answer(sent=1000), Answer())

    file = cached_download(f"{site.address}/{NAME}", tmp_path, timeout=0.2)

    assert file.read_bytes() == CONTENT


def test_a_file_that_never_arrives_whole_leaves_no_file(serve: Serve, tmp_path: Path) -> None:
    site = serve(CONTENT, Answer(sent=1000))

    with pytest.raises(ResourceError, match=r"could not be fetched .* only 1,000 of 350,000 bytes"):
        cached_download(f"{site.address}/net.pth", tmp_path, timeout=0.2)

    assert not list(tmp_path.iterdir())


def test_a_refused_connection_says_what_from_where_and_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/net.pth"
        with pytest.raises(ResourceError) as caught:
            cached_download(url, tmp_path)

    assert f"could not be fetched from {url}" in caught.value.problem
    assert "refused" in caught.value.problem
    assert "--weights FILE" in caught.value.remedy
    assert caught.value.exit_code == 4


def test_a_key_in_the_address_is_not_shown(serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(ResourceError) as caught:
        cached_download(f"{serve(b'', Answer(status=404)).address}/a.pth?key=secret", tmp_path)

    assert "/a.pth" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.org/a.pth", "a.pth", "https://example.org/a/.."]
)
def test_only_http_addresses_of_files_are_taken(tmp_path: Path, url: str) -> None:
    with pytest.raises(ResourceError, match="is not the http or https address of a file"):
        cached_download(url, tmp_path)


def test_offline_nothing_is_asked(serve: Serve, tmp_path: Path) -> None:
    site = serve(CONTENT)

    with staying_offline(), pytest.raises(ResourceError) as caught:
        cached_download(f"{site.address}/{NAME}", tmp_path / "none yet")

    assert site.asked == []
    assert caught.value.exit_code == 4
    for word in ("offline", NAME, f"{site.address}/{NAME}", "--weights FILE"):
        assert word in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_offline_a_cached_file_is_used(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(CONTENT)

    with staying_offline():
        assert cached_download(f"https://example.org/{NAME}", tmp_path) == tmp_path / NAME


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot fork")
def test_two_processes_that_download_one_file_both_get_it_whole(
    serve: Serve, tmp_path: Path
) -> None:
    site = serve(CONTENT, Answer(sent=1000, stalls=True), Answer(sent=1000, stalls=True), Answer())
    download = partial(cached_download, timeout=0.3)
    fork = multiprocessing.get_context("fork")
    where = (f"{site.address}/{NAME}", tmp_path)

    both = [fork.Process(target=download, args=where) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()

    assert [process.exitcode for process in both] == [0, 0]
    assert len(site.asked) == 4
    assert [file.name for file in tmp_path.iterdir()] == [NAME]
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_a_cache_that_cannot_be_made_is_named(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ResourceError, match="cannot be written"):
        cached_download(f"{serve(CONTENT).address}/{NAME}", tmp_path / "file" / "cache")


def test_published_weights_are_downloaded_checked_and_loaded(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = build(find_provider("torchvision"), {"name": "squeezenet1_1", "options": {}}, seed=9)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    content = (tmp_path / "w.pth").read_bytes()
    url = f"{serve(content).address}/squeezenet1_1-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    download_from_here = partial(lambda _: cached_download(url, tmp_path / "cache"))
    monkeypatch.setattr(torchvision, "cached_download", download_from_here)

    backbone = load_backbone("squeezenet1_1")

    weight = backbone.module.get_parameter("features.0.weight")
    assert torch.equal(weight, network.get_parameter("features.0.weight"))
    assert backbone.provenance.sha256 == hashlib.sha256(content).hexdigest()
    assert (tmp_path / "cache" / url.rpartition("/")[2]).exists()


def test_the_cache_is_that_of_torch_hub(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    file = cached_download(f"{serve(CONTENT).address}/{NAME}")

    assert file.parent == tmp_path / "hub" / "checkpoints"
