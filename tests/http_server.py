"""A real HTTP server on this machine that behaves as badly as it is told to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import pytest


@dataclass
class Answer:
    """What the server does with one request; without arguments it serves the file properly."""

    sent: int | None = None  # bytes after which it hangs up
    stalls: bool = False  # it says nothing more in place of hanging up
    status: int = 200
    location: str = ""


@dataclass
class Site:
    """One file behind an address, and the requests for it so far."""

    content: bytes
    script: list[Answer]
    ranges: bool = True
    version: str = '"v1"'
    address: str = ""
    asked: list[str] = field(default_factory=list)  # the Range header of each request
    end: Event = field(default_factory=Event)

    def answer(self) -> Answer:
        """Return what to do now; the last of the script holds for all further requests."""
        return self.script[min(len(self.asked), len(self.script)) - 1] if self.script else Answer()


Serve = Callable[..., Site]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server: `serve(content, Answer(...), ..., ranges=True)`."""
    started: list[tuple[Site, ThreadingHTTPServer]] = []

    def start(content: bytes, *script: Answer, ranges: bool = True, version: str = '"v1"') -> Site:
        site = Site(content, list(script), ranges, version)
        handler = type("Handler", (_Handler,), {"site": site})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        site.address = f"http://127.0.0.1:{server.server_address[1]}"
        started.append((site, server))
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return site

    yield start
    for site, server in started:
        site.end.set()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        site = self.site
        site.asked.append(self.headers.get("Range", ""))
        answer = site.answer()
        if answer.location or answer.status != 200:
            self.send_response(answer.status)
            self.send_header("Location", answer.location)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        first = self._first()
        body = site.content[first:]
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(body)))
        if site.version:
            self.send_header("ETag", site.version)
        if first:
            total = len(site.content)
            self.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
        self.end_headers()
        self.wfile.write(body[: answer.sent])
        self.wfile.flush()
        if answer.stalls:
            site.end.wait(5)

    def _first(self) -> int:
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        current = self.headers.get("If-Range") == self.site.version
        return int(found[1]) if found and current and self.site.ranges else 0

    def log_message(self, *_: object) -> None:
        """Keep quiet."""
