"""Files of the hub, from a small hub on this machine."""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from huggingface_hub import constants

from graft.data.scan import scan
from graft.download import staying_offline
from graft.errors import BackboneError, DataError, ResourceError
from graft.hub import hub_file, hub_folder
from tests.conftest import MakePhoto

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """A hub with one repository, org/net, of models and of datasets alike."""

    files: dict[str, bytes]
    cache: Path
    address: str = ""
    asked: list[str] = field(default_factory=list)  # method and path of each request
    cut: int | None = None  # bytes after which the next file is cut off
    damaged: bool = False

    def shown(self, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        """Return the status, headers and body of an answer."""
        path, _, _ = path.partition("?")
        _, _, rest = path.removeprefix("/datasets").partition("/org/net")
        if not rest and "/org/net" not in path:
            return 404, {"X-Error-Code": "RepoNotFound"}, b""
        if "/resolve/" in rest:
            revision, _, name = rest.removeprefix("/resolve/").partition("/")
            if revision not in ("main", COMMIT):
                return 404, {"X-Error-Code": "RevisionNotFound"}, b""
            if name not in self.files:
                return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, b""
            content = self.files[name]
            tag = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
            return 200, tag, content[::-1] if self.damaged else content
        if "/tree/" in rest:
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
                for name, content in self.files.items()
            ]
            return 200, {}, json.dumps(tree).encode()
        if not rest or rest == "/revision/main":
            return 200, {}, json.dumps({"id": "org/net", "sha": COMMIT, "siblings": []}).encode()
        return 404, {"X-Error-Code": "RevisionNotFound"}, b""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Start a hub, and point the library and its cache to it."""
    here = Hub({"config.json": b"{}", "model.safetensors": b"tensors" * 1000}, tmp_path / "cache")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here.asked.append(f"{self.command} {self.path}")
            status, headers, body = here.shown(self.command, self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            first = 0
            if self.command == "GET" and self.headers.get("Range"):
                first = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            self.send_header("Content-Length", str(len(body) - first))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body[first : here.cut])
                here.cut = None

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here.address = f"http://127.0.0.1:{server.server_address[1]}"
    point_to(here.address, here.cache, monkeypatch)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield here
    server.shutdown()
    server.server_close()


def point_to(address: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the library see another hub and another cache than the user's."""

    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))


def test_a_file_is_fetched_into_the_cache_of_the_hub(hub: Hub) -> None:
    file = hub_file("org/net", "config.json")

    assert file == hub.cache / "models--org--net" / "snapshots" / COMMIT / "config.json"
    assert file.read_bytes() == b"{}"


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_a_cached_file_is_used_without_asking(hub: Hub, revision: str | None) -> None:
    first = hub_file("org/net", "config.json")
    before = list(hub.asked)

    assert hub_file("org/net", "config.json", revision=revision) == first
    assert hub.asked == before


def test_the_first_file_that_exists_is_taken(hub: Hub) -> None:
    assert hub_file("org/net", "a.safetensors", "model.safetensors").name == "model.safetensors"


def test_a_cached_file_of_second_choice_is_used_without_asking(hub: Hub) -> None:
    hub_file("org/net", "model.safetensors")
    before = list(hub.asked)

    hub_file("org/net", "a.safetensors", "model.safetensors")

    assert hub.asked == before


def test_a_file_that_is_cut_off_is_resumed(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    hub.cut = 100

    assert hub_file("org/net", "model.safetensors").read_bytes() == b"tensors" * 1000


def test_damaged_content_is_refused_and_not_kept(hub: Hub) -> None:
    hub.damaged = True
    with pytest.raises(ResourceError, match="is damaged: its SHA-256 is not"):
        hub_file("org/net", "model.safetensors")

    hub.damaged = False
    assert hub_file("org/net", "model.safetensors").read_bytes() == b"tensors" * 1000


@pytest.mark.parametrize(
    ("repo", "name", "revision", "missing"),
    [
        ("org/nett", "config.json", None, "'org/nett'"),
        ("org/net", "b.bin", None, "'b.bin' in 'org/net'"),
        ("org/net", "config.json", "v9", "'org/net' at 'v9'"),
    ],
)
def test_what_the_hub_does_not_have_is_named(
    hub: Hub, repo: str, name: str, revision: str | None, missing: str
) -> None:
    with pytest.raises(BackboneError) as caught:
        hub_file(repo, name, revision=revision)

    assert missing in caught.value.problem
    assert hub.address in caught.value.problem
    with pytest.raises(DataError):
        hub_file(repo, name, revision=revision, kind="dataset")


@pytest.mark.parametrize("fetch", [lambda: hub_file("org/net", "a"), lambda: hub_folder("org/net")])
def test_offline_nothing_is_asked(hub: Hub, fetch: Callable[[], Path]) -> None:
    with staying_offline(), pytest.raises(ResourceError) as caught:
        fetch()

    assert hub.asked == []
    assert caught.value.exit_code == 4
    for word in ("offline", "'org/net'", str(hub.cache), hub.address):
        assert word in caught.value.problem


def test_offline_what_is_cached_is_used(hub: Hub) -> None:
    file, folder = hub_file("org/net", "config.json"), hub_folder("org/net")

    with staying_offline():
        assert hub_file("org/net", "config.json") == file
        assert hub_folder("org/net") == folder


@pytest.mark.parametrize("variable", ["HF_HOME", "HF_HUB_CACHE"])
def test_the_cache_lies_where_the_environment_says(tmp_path: Path, variable: str) -> None:
    cache = tmp_path / "hub" if variable == "HF_HOME" else tmp_path
    snapshot = cache / "models--org--net" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (cache / "models--org--net" / "refs").mkdir()
    (cache / "models--org--net" / "refs" / "main").write_text(COMMIT)
    script = "from graft.hub import hub_file; print(hub_file('org/net', 'config.json'))"

    environment = {**os.environ, "HF_HUB_OFFLINE": "1", variable: str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE)

    assert done.stdout.decode().strip() == str(snapshot / "config.json")


def test_a_hub_that_is_out_of_reach_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("it waits"))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        point_to(address, tmp_path, monkeypatch)
        with pytest.raises(ResourceError) as caught:
            hub_file("org/net", "config.json")

    assert f"could not be fetched from {address}" in caught.value.problem
    assert "refused" in caught.value.problem
    assert caught.value.exit_code == 4


def test_a_folder_holds_every_file_of_a_commit(hub: Hub, capfd: pytest.CaptureFixture[str]) -> None:
    folder = hub_folder("org/net", kind="dataset")

    assert folder.name == COMMIT
    assert {file.name for file in folder.iterdir()} == set(hub.files)
    assert capfd.readouterr() == ("", "")


def test_offline_a_folder_that_is_there_in_part_is_refused(hub: Hub) -> None:
    folder = hub_folder("org/net")
    (folder / "model.safetensors").unlink()

    with staying_offline(), pytest.raises(ResourceError):
        hub_folder("org/net")


def test_a_cache_that_cannot_be_written_is_named(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    point_to(hub.address, tmp_path / "file" / "cache", monkeypatch)

    with pytest.raises(ResourceError, match="cannot be written"):
        hub_file("org/net", "config.json")


def test_a_dataset_goes_from_the_hub_to_samples(
    hub: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_photo: MakePhoto,
    capfd: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("datasets", reason="the extra [datasets] is not installed")
    monkeypatch.setenv("GRAFT_CACHE", str(tmp_path / "graft"))
    hub.files = {}
    for name in ("train/ants/1.png", "train/bees/1.png", "test/bees/2.png"):
        file = io.BytesIO()
        make_photo(seed=len(hub.files)).save(file, "PNG")
        hub.files[name] = file.getvalue()

    manifest = scan("hf:org/net")

    assert manifest.counts() == {"train": {"ants": 1, "bees": 1}, "test": {"bees": 1}}
    assert capfd.readouterr() == ("", "")
    hub.asked.clear()
    with staying_offline():
        assert scan("hf:org/net") == manifest
    assert hub.asked == []


def test_a_part_of_a_dataset_goes_from_the_hub_to_samples(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_photo: MakePhoto
) -> None:
    pytest.importorskip("datasets", reason="the extra [datasets] is not installed")
    monkeypatch.setenv("GRAFT_CACHE", str(tmp_path / "graft"))
    hub.files = {}
    for name in [f"train/{label}/{n}.png" for label in ("ants", "bees") for n in range(4)]:
        file = io.BytesIO()
        make_photo(seed=len(hub.files)).save(file, "PNG")
        hub.files[name] = file.getvalue()
    hub.files["validation/bees/0.png"] = hub.files["train/bees/0.png"]

    manifest = scan("hf:org/net[:4]")

    assert manifest.counts() == {"train": {"ants": 2, "bees": 2}}
    with staying_offline():
        assert scan("hf:org/net[:4]") == manifest
        assert scan("hf:org/net[:2]").counts() == {"train": {"ants": 1, "bees": 1}}


def test_a_dataset_that_is_not_cached_is_not_fetched_offline(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("datasets", reason="the extra [datasets] is not installed")
    monkeypatch.setenv("GRAFT_CACHE", str(tmp_path / "graft"))

    with staying_offline(), pytest.raises(ResourceError, match="'org/net' is not in"):
        scan("hf:org/net")

    assert hub.asked == []
