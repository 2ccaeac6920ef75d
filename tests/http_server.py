"""A real HTTP server on this machine that behaves as badly as it is told to."""

from __future__ import annotations

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
    address: str = ""
    asked: list[str] = field(default_factory=list)  # the Range header of each request
    end: Event = field(default_factory=Event)

    def answer(self) -> Answer:
        """Return what to do now; the last of the script holds for all further requests."""
        return self.script[min(len(self.asked), len(self.script)) - 1] if self.script else Answer()


Serve = Callable[..., Site]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server: `serve(content, Answer(...), ...)`."""
    started: list[tuple[Site, ThreadingHTTPServer]] = []

    def start(content: bytes, *script: Answer) -> Site:
        site = Site(content, list(script))
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
        body = site.content
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: answer.sent])
        self.wfile.flush()
        if answer.stalls:
            site.end.wait(5)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""
