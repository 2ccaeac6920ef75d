"""Whether a server can be reached, without waiting for one that does not answer."""

from __future__ import annotations

import socket
from threading import Event

from graft.zoo.machine import reachable


def test_a_server_that_listens_is_reachable():
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert reachable(f"http://127.0.0.1:{server.getsockname()[1]}/net.pth", 5)


def test_a_refused_connection_is_not_waited_for():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert not reachable(f"http://127.0.0.1:{unused.getsockname()[1]}/net.pth", 600)


def test_a_look_up_that_hangs_ends_in_time(monkeypatch):
    answered = Event()

    def hangs(*_, **__):
        answered.wait(60)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    assert not reachable("https://example.invalid/net.pth", 0.1)
    assert not answered.is_set()  # the look-up still hangs
    answered.set()


def test_behind_a_proxy_the_proxy_is_asked(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert reachable("http://example.invalid/net.pth", 5)


def test_an_address_that_is_none_is_not_reachable():
    assert not reachable("http://127.0.0.1:99999/net.pth", 1)
