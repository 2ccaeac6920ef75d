"""One file over HTTP: resumed after a cut, begun anew where the server cannot resume."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from http.client import HTTPException, HTTPMessage, HTTPResponse, InvalidURL
from pathlib import Path
from typing import IO, BinaryIO, TypeAlias
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

BLOCK = 1 << 18
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # statuses that another attempt may cure
SCHEMES = frozenset({"http", "https"})

Progress: TypeAlias = Callable[[int, "int | None"], object]


@dataclass(frozen=True)
class Patience:
    """How long to bear with a server.

    Args:
        silence: Seconds without a byte after which a connection counts as stalled.
        pauses: Seconds to wait before each further attempt. There is one attempt more than there
            are pauses; whenever one gets further than all before it, the count starts again.
    """

    silence: float = 20.0
    pauses: tuple[float, ...] = (1.0, 2.0, 4.0)


PATIENCE = Patience()


class TransferError(Exception):
    """Why a file could not be fetched, in words that complete "could not be fetched: ..."."""


class _CutError(TransferError):
    """The connection broke or stalled; another attempt may succeed."""


def transfer(
    url: str,
    target: Path,
    *,
    patience: Patience = PATIENCE,
    progress: Progress = lambda _received, _total: None,
) -> None:
    """Write what an address serves into a file, whole.

    A broken transfer goes on where it stopped if the server says what it serves (ETag or
    Last-Modified) and serves parts of it (Range); else it begins anew. A server that cannot be
    reached at all, or that refuses, is not asked again.

    Args:
        url: An http or https address. Redirects are followed, but never from https to http.
        target: Written in place; on failure its content is undefined.
        patience: Time-outs and further attempts.
        progress: Called with the bytes received so far and those that were promised, if any were.

    Raises:
        TransferError: The file did not arrive whole.
        OSError: The file cannot be written.
    """
    opener = _opener()
    with target.open("wb") as file:
        part, furthest, failures = _Part(file), 0, 0
        while True:
            try:
                part.receive(opener, url, patience.silence, progress)
                return
            except _CutError:
                received = file.tell()
                failures = 0 if received > furthest else failures
                furthest = max(furthest, received)
                if failures == len(patience.pauses):
                    raise
                time.sleep(patience.pauses[failures])
                failures += 1


class _Part:
    """The part of a file that has arrived.

    Args:
        file: Where it is written.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.version: str | None = None  # ETag or date of what it is a part of
        self.reached = False  # whether the server has answered at all

    def receive(self, opener: OpenerDirector, url: str, silence: float, progress: Progress) -> None:
        """Make one attempt to get the rest."""
        if not self.version:
            self._empty()
        have = self.file.tell()
        headers = {"Range": f"bytes={have}-", "If-Range": self.version or ""} if have else {}
        with self._network():
            response = opener.open(Request(url, headers=headers), timeout=silence)
        with response:
            total = self._begin(response)
            progress(self.file.tell(), total)
            while True:
                with self._network():
                    block = response.read1(BLOCK)
                if not block:
                    break
                self.file.write(block)
                progress(self.file.tell(), total)
        if total is not None and self.file.tell() != total:
            raise _CutError(f"only {self.file.tell():,} of {total:,} bytes came")

    def _begin(self, response: HTTPResponse) -> int | None:
        """Find the place where the answer continues; returns the length of the whole file."""
        have = self.file.tell()
        if response.status != HTTPStatus.PARTIAL_CONTENT:
            self._empty()
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            self._empty()
            raise _CutError("the server sent another part of the file than was asked for")
        self.version = _version(response.headers)
        length = response.headers.get("Content-Length", "")
        return self.file.tell() + int(length) if length.isdecimal() else None

    def _empty(self) -> None:
        self.file.seek(0)
        self.file.truncate()

    @contextmanager
    def _network(self) -> Iterator[None]:
        """Tell apart what another attempt may cure; the disk's errors do not come through here."""
        try:
            yield
            self.reached = True
        except HTTPError as error:
            error.close()
            self.reached = True
            if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                self._empty()
            elif error.code not in PASSING:
                raise TransferError(str(error)) from error
            raise _CutError(str(error)) from error
        except (OSError, HTTPException, ValueError) as error:
            reason = error.reason if isinstance(error, URLError) else error
            words = str(reason) or type(reason).__name__
            connected = self.reached or not isinstance(error, (URLError, InvalidURL, ValueError))
            raise (_CutError if connected else TransferError)(words) from error


class _SafeRedirects(HTTPRedirectHandler):
    """Follow redirects within http and https, and from http to https, but not back."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in SCHEMES or (old == "https" and new == "http"):
            words = f"a redirect from {old} to {new} is not followed"
            raise HTTPError(req.full_url, code, words, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> OpenerDirector:
    """Return an opener that knows http and https, and neither ftp nor files."""
    opener = OpenerDirector()
    opener.addheaders = [("User-Agent", "graft")]
    for handler in (
        ProxyHandler(),
        UnknownHandler(),
        HTTPHandler(),
        HTTPSHandler(),
        HTTPDefaultErrorHandler(),
        _SafeRedirects(),
        HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _version(headers: Message) -> str | None:
    """Return what If-Range accepts: a strong ETag, else a date (RFC 9110, section 13.1.5)."""
    tag: str = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified")
