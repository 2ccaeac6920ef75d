"""One file over HTTP, from servers of every kind."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from graft.transfer import Patience, TransferError, transfer
from tests.http_server import Answer, Serve

CONTENT = bytes(range(256)) * 4_000
HALF = len(CONTENT) // 2
QUICK = Patience(silence=0.2, pauses=(0.001, 0.002))


def test_what_is_served_arrives(serve: Serve, tmp_path: Path) -> None:
    site = serve(CONTENT)

    transfer(f"{site.address}/net.pth", tmp_path / "net", patience=QUICK)

    assert (tmp_path / "net").read_bytes() == CONTENT
    assert site.asked == [""]


def test_progress_counts_to_the_promised_length(serve: Serve, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []

    url = f"{serve(CONTENT, Answer(sent=HALF), Answer()).address}/net.pth"
    transfer(url, tmp_path / "net", patience=QUICK, progress=lambda *now: seen.append(now))

    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)


@pytest.mark.parametrize("stalls", [False, True], ids=["hangs up", "stalls"])
def test_a_cut_is_resumed_where_it_happened(serve: Serve, tmp_path: Path, stalls: bool) -> None:
    site = serve(CONTENT, Answer(sent=HALF, stalls=stalls), Answer())

    transfer(f"{site.address}/net.pth", tmp_path / "net", patience=QUICK)

    assert (tmp_path / "net").read_bytes() == CONTENT
    assert site.asked == ["", f"bytes={HALF}-"]


def test_a_server_without_ranges_begins_anew(serve: Serve, tmp_path: Path) -> None:
    site = serve(CONTENT, Answer(sent=HALF), Answer(), ranges=False)

    transfer(f"{site.address}/net.pth", tmp_path / "net", patience=QUICK)

    assert (tmp_path / "net").read_bytes() == CONTENT


@pytest.mark.parametrize("version", ["", 'W/"weak"'], ids=["no version", "weak version"])
def test_parts_that_may_be_of_different_files_are_not_joined(
    serve: Serve, tmp_path: Path, version: str
) -> None:
    site = serve(CONTENT, Answer(sent=HALF), Answer(), version=version)

    transfer(f"{site.address}/net.pth", tmp_path / "net", patience=QUICK)

    assert (tmp_path / "net").read_bytes() == CONTENT
    assert site.asked == ["", ""]


def test_a_file_that_changes_between_two_attempts_is_fetched_anew(
    serve: Serve, tmp_path: Path
) -> None:
    site = serve(CONTENT, Answer(sent=HALF, stalls=True), Answer())

    def change(received: int, _total: int | None) -> None:
        if received == HALF and site.version == '"v1"':
            site.content, site.version = CONTENT[::-1], '"v2"'

    transfer(f"{site.address}/net.pth", tmp_path / "net", patience=QUICK, progress=change)

    assert (tmp_path / "net").read_bytes() == CONTENT[::-1]


def test_an_answer_for_another_part_is_not_taken(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = serve(CONTENT, Answer(sent=HALF), Answer())
    handler = "tests.http_server._Handler._first"
    monkeypatch.setattr(handler, lambda self: 7 if len(site.asked) == 2 else 0)

    transfer(f"{site.address}/net.pth", tmp_path / "net", patience=QUICK)

    assert (tmp_path / "net").read_bytes() == CONTENT
    assert len(site.asked) == 3


def test_a_server_that_gets_no_further_is_given_up(serve: Serve, tmp_path: Path) -> None:
    site = serve(CONTENT, Answer(sent=HALF), ranges=False)

    with pytest.raises(TransferError, match="only 512,000 of 1,024,000 bytes came"):
        transfer(f"{site.address}/net.pth", tmp_path / "net", patience=QUICK)

    assert len(site.asked) == 1 + len(QUICK.pauses)


def test_slow_progress_is_still_progress(serve: Serve, tmp_path: Path) -> None:
    site = serve(CONTENT, Answer(sent=len(CONTENT) // 10))

    transfer(f"{site.address}/net.pth", tmp_path / "net", patience=Patience(1.0, (0.001,)))

    assert (tmp_path / "net").read_bytes() == CONTENT
    assert len(site.asked) > len(QUICK.pauses) + 1


def test_a_server_that_stalls_for_good_is_given_up_in_time(serve: Serve, tmp_path: Path) -> None:
    site = serve(CONTENT, Answer(sent=0, stalls=True))
    begun = time.monotonic()

    with pytest.raises(TransferError, match="timed out"):
        transfer(f"{site.address}/net.pth", tmp_path / "net", patience=Patience(0.05, (0.001,)))

    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("status", [404, 403, 410])
def test_a_refusal_is_final(serve: Serve, tmp_path: Path, status: int) -> None:
    site = serve(CONTENT, Answer(status=status))

    with pytest.raises(TransferError, match=f"HTTP Error {status}"):
        transfer(f"{site.address}/net.pth", tmp_path / "net", patience=QUICK)

    assert len(site.asked) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_failure_is_tried_again(serve: Serve, tmp_path: Path, status: int) -> None:
    site = serve(CONTENT, Answer(status=status), Answer(status=status), Answer())

    transfer(f"{site.address}/net.pth", tmp_path / "net", patience=QUICK)

    assert (tmp_path / "net").read_bytes() == CONTENT


def test_a_part_that_the_server_cannot_continue_is_dropped(serve: Serve, tmp_path: Path) -> None:
    site = serve(CONTENT, Answer(sent=HALF), Answer(status=416), Answer())

    transfer(f"{site.address}/net.pth", tmp_path / "net", patience=QUICK)

    assert (tmp_path / "net").read_bytes() == CONTENT
    assert site.asked == ["", f"bytes={HALF}-", ""]


def test_a_server_that_is_not_there_is_asked_once(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/net.pth"
        with pytest.raises(TransferError, match="refused"):
            transfer(url, tmp_path / "net", patience=Patience(1.0, (60.0,)))


def test_redirects_are_followed_and_resumed(serve: Serve, tmp_path: Path) -> None:
    far = serve(CONTENT, Answer(sent=HALF), Answer())
    near = serve(b"", Answer(status=302, location=f"{far.address}/net.pth"))

    transfer(f"{near.address}/net.pth", tmp_path / "net", patience=QUICK)

    assert (tmp_path / "net").read_bytes() == CONTENT
    assert far.asked == ["", f"bytes={HALF}-"]


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/net.pth", "file:///etc/hostname"])
def test_redirects_do_not_leave_http(serve: Serve, tmp_path: Path, location: str) -> None:
    site = serve(b"", Answer(status=302, location=location))

    with pytest.raises(TransferError):
        transfer(f"{site.address}/net.pth", tmp_path / "net", patience=QUICK)

    assert (tmp_path / "net").read_bytes() == b""


def test_a_redirect_in_a_circle_ends(serve: Serve, tmp_path: Path) -> None:
    site = serve(b"", Answer(status=302, location="/net.pth"))

    with pytest.raises(TransferError, match="redirect"):
        transfer(f"{site.address}/net.pth", tmp_path / "net", patience=QUICK)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/net", "data:,x"])
def test_other_schemes_are_not_opened(tmp_path: Path, url: str) -> None:
    with pytest.raises(TransferError, match="unknown url type"):
        transfer(url, tmp_path / "net", patience=QUICK)


def test_an_encrypted_address_does_not_lead_to_an_open_one() -> None:
    from email.message import Message
    from io import BytesIO
    from urllib.error import HTTPError
    from urllib.request import Request

    from graft.transfer import _SafeRedirects

    asked = Request("https://example.org/net.pth")
    with pytest.raises(HTTPError, match="from https to http is not followed"):
        _SafeRedirects().redirect_request(
            asked, BytesIO(), 302, "Found", Message(), "http://example.org/net.pth"
        )
