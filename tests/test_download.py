"""Any file from the network, from servers of every kind: whole and checked, or not there."""

from __future__ import annotations

import socket
import subprocess
import sys
from email.message import Message
from io import BytesIO
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request

import pytest

from graft import download as module
from graft.download import _SafeRedirects, download, staying_offline
from graft.errors import ResourceError
from tests.http_server import Answer, Serve

CONTENT = bytes(range(256)) * 4_000
HALF = len(CONTENT) // 2
WORDS = {"what": "The photographs", "hint": "ask the museum"}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.0)


def fetched(url: str, folder: Path) -> bytes:
    return download(url, folder, timeout=0.2, **WORDS).read_bytes()


def test_what_is_served_arrives(serve: Serve, tmp_path: Path) -> None:
    site = serve(CONTENT)
    assert fetched(f"{site.address}/a.zip", tmp_path) == CONTENT
    assert len(site.asked) == 1


def test_offline_says_from_where_it_would_come_and_what_else_one_can_do(
    serve: Serve, tmp_path: Path
) -> None:
    site = serve(CONTENT)
    with staying_offline(), pytest.raises(ResourceError, match="offline") as caught:
        fetched(f"{site.address}/a.zip", tmp_path)
    assert f"{site.address}/a.zip" in caught.value.problem
    assert caught.value.remedy == "Allow the network once, or ask the museum."
    assert not site.asked


@pytest.mark.parametrize("status", [404, 403, 410])
def test_a_refusal_is_final_and_names_what_was_wanted(
    serve: Serve, tmp_path: Path, status: int
) -> None:
    site = serve(CONTENT, Answer(status=status))
    with pytest.raises(ResourceError, match=rf"The photographs could .* {status}") as caught:
        fetched(f"{site.address}/a.zip", tmp_path)
    assert "ask the museum" in caught.value.remedy
    assert len(site.asked) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_failure_is_tried_again(serve: Serve, tmp_path: Path, status: int) -> None:
    site = serve(CONTENT, Answer(status=status), Answer(status=status), Answer())
    assert fetched(f"{site.address}/a.zip", tmp_path) == CONTENT


@pytest.mark.parametrize("stalls", [False, True], ids=["hangs up", "stalls"])
def test_after_a_cut_the_whole_file_is_fetched_anew(
    serve: Serve, tmp_path: Path, stalls: bool
) -> None:
    site = serve(CONTENT, Answer(sent=HALF, stalls=stalls), Answer())
    assert fetched(f"{site.address}/a.zip", tmp_path) == CONTENT
    assert site.asked == ["", ""]


def test_a_server_that_never_sends_it_whole_is_given_up(serve: Serve, tmp_path: Path) -> None:
    site = serve(CONTENT, Answer(sent=HALF))
    with pytest.raises(ResourceError, match="only 512,000 of 1,024,000 bytes came"):
        fetched(f"{site.address}/a.zip", tmp_path)
    assert len(site.asked) == 3
    assert not list(tmp_path.iterdir())


def test_a_server_that_stalls_for_good_is_given_up(serve: Serve, tmp_path: Path) -> None:
    site = serve(CONTENT, Answer(sent=0, stalls=True))
    with pytest.raises(ResourceError, match="timed out"):
        fetched(f"{site.address}/a.zip", tmp_path)


def test_a_server_that_is_not_there_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.time, "sleep", lambda _: pytest.fail("asked again"))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/a.zip"
        with pytest.raises(ResourceError, match="refused"):
            fetched(url, tmp_path)


def test_a_port_that_is_no_number_is_an_error_in_two_lines(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="could not be fetched"):
        fetched("http://127.0.0.1:port/a.zip", tmp_path)


def test_redirects_are_followed(serve: Serve, tmp_path: Path) -> None:
    far = serve(CONTENT, Answer(sent=HALF), Answer())
    near = serve(b"", Answer(status=302, location=f"{far.address}/b.zip"))
    assert fetched(f"{near.address}/a.zip", tmp_path) == CONTENT


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/a.zip", "file:///etc/hostname"])
def test_redirects_do_not_leave_http(serve: Serve, tmp_path: Path, location: str) -> None:
    site = serve(b"", Answer(status=302, location=location))
    with pytest.raises(ResourceError, match=r"[Rr]edirect.* not (allowed|followed)"):
        fetched(f"{site.address}/a.zip", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_redirect_in_a_circle_ends(serve: Serve, tmp_path: Path) -> None:
    site = serve(b"", Answer(status=302, location="/a.zip"))
    with pytest.raises(ResourceError, match="redirect"):
        fetched(f"{site.address}/a.zip", tmp_path)


def test_an_encrypted_address_does_not_lead_to_an_open_one() -> None:
    asked = Request("https://example.org/net.pth")
    with pytest.raises(HTTPError, match="from https to http is not followed"):
        _SafeRedirects().redirect_request(
            asked, BytesIO(), 302, "Found", Message(), "http://example.org/net.pth"
        )


def test_importing_it_loads_neither_torch_nor_rich() -> None:
    code = "import sys, graft.download; assert not {'torch', 'rich'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
