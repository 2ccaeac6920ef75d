"""Downloads against a real HTTP server on this machine."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch

from graft.backbones import download
from graft.backbones.build import build
from graft.backbones.download import cached_download
from graft.backbones.load import load_backbone
from graft.backbones.providers import find_provider, torchvision
from graft.errors import ResourceError

CONTENT = b"weights" * 50_000
HASH = hashlib.sha256(CONTENT).hexdigest()
Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server that answers every request alike; returns its address."""
    servers: list[ThreadingHTTPServer] = []

    def start(content: bytes = CONTENT, *, sent: int | None = None, status: int = 200) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[:sent])
                if sent == 0:
                    time.sleep(1)

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_file_with_the_right_checksum_arrives_whole(serve: Serve, tmp_path: Path) -> None:
    file = cached_download(f"{serve()}/net-{HASH[:8]}.pth", tmp_path)

    assert file == tmp_path / f"net-{HASH[:8]}.pth"
    assert file.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [file]


def test_a_cached_file_is_not_fetched_again(serve: Serve, tmp_path: Path) -> None:
    cached_download(f"{serve()}/net-{HASH[:8]}.pth", tmp_path)

    cached_download(f"http://127.0.0.1:1/net-{HASH[:8]}.pth", tmp_path)


def test_progress_goes_to_stderr_only(
    serve: Serve, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cached_download(f"{serve()}/net-{HASH[:8]}.pth", tmp_path)

    assert capfd.readouterr().out == ""


def test_a_wrong_checksum_is_refused_and_leaves_no_file(serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="damaged: its SHA-256 begins with") as caught:
        cached_download(f"{serve()}/net-00000000.pth", tmp_path)

    assert caught.value.exit_code == 4
    assert "--weights FILE" in caught.value.remedy
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_cut_off_is_refused_and_leaves_no_file(serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="could not be fetched"):
        cached_download(f"{serve(sent=1000)}/net.pth", tmp_path)

    assert not list(tmp_path.iterdir())


def test_a_server_that_stalls_is_given_up(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "SILENCE", 0.2)

    with pytest.raises(ResourceError, match="timed out"):
        cached_download(f"{serve(sent=0)}/net.pth", tmp_path)


def test_a_server_error_is_named(serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"net\.pth: (HTTP Error 404|Not Found)"):
        cached_download(f"{serve(status=404)}/net.pth", tmp_path)


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


def test_published_weights_are_downloaded_checked_and_loaded(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = build(find_provider("torchvision"), {"name": "squeezenet1_1", "options": {}}, seed=9)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    content = (tmp_path / "w.pth").read_bytes()
    url = f"{serve(content)}/squeezenet1_1-{hashlib.sha256(content).hexdigest()[:8]}.pth"
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

    file = cached_download(f"{serve()}/net-{HASH[:8]}.pth")

    assert file.parent == tmp_path / "hub" / "checkpoints"
