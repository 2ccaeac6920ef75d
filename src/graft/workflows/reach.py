"""Whether a server can be reached at all, found out in a time that is known beforehand."""

from __future__ import annotations

import socket
from threading import Thread
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

PORTS = {"http": 80, "https": 443}


def reachable(url: str, seconds: float) -> bool:
    """Return whether the server of an address, or the proxy before it, takes a connection.

    Looking a name up and trying one address of it after the other can take minutes where packets
    vanish; a thread that is left to itself does so, and only a connection in time counts.

    Args:
        url: An http or https address.
        seconds: To wait at most.

    Example:
        >>> with socket.create_server(("127.0.0.1", 0)) as server:
        ...     reachable(f"http://127.0.0.1:{server.getsockname()[1]}/net.pth", 1.0)
        True
    """
    place = _gate(url)
    reached: list[bool] = []

    def connect() -> None:
        try:
            address = (place.hostname or "", place.port or PORTS[place.scheme])
            with socket.create_connection(address, timeout=seconds):
                reached.append(True)
        except (OSError, ValueError, KeyError):  # of a port or a name that cannot be, or a scheme
            return

    thread = Thread(target=connect, daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(reached)


def _gate(url: str) -> SplitResult:
    """Return the address that a request for `url` connects to: the proxy's where there is one."""
    place = urlsplit(url)
    proxy = getproxies().get(place.scheme)
    if not proxy or proxy_bypass(place.hostname or ""):
        return place
    return urlsplit(proxy if "://" in proxy else f"http://{proxy}")
