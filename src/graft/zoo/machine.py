"""What this machine can do and reach: cores, memory, accelerator, a measured speed, servers."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from graft.machine import available_cores, total_memory

if TYPE_CHECKING:
    import torch

SECONDS = 0.3  # to measure for


@dataclass(frozen=True)
class Machine:
    """What a machine can do.

    Args:
        cores: Cores that this process may use.
        memory: Of the accelerator, or of the machine if there is none, in bytes.
        accelerator: Its name; None computes on the cores.
        speed: Multiply-adds per second that it reached in a convolution.
    """

    cores: int
    memory: int
    accelerator: str | None
    speed: float


def this_machine() -> Machine:
    """Return what this machine can do; its speed is measured in a fraction of a second.

    Example:
        >>> machine = this_machine()
        >>> machine.cores >= 1 and machine.memory > 0 and machine.speed > 0
        True
    """
    import torch

    if torch.cuda.is_available():
        facts = torch.cuda.get_device_properties(0)
        speed = measure_speed(torch.device("cuda", 0))
        return Machine(available_cores(), facts.total_memory, facts.name, speed)
    # Other accelerators share the memory of the machine or do not report theirs.
    other = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    speed = measure_speed(other or torch.device("cpu"))
    return Machine(available_cores(), total_memory(), other.type if other else None, speed)


def measure_speed(device: torch.device) -> float:
    """Return how many multiply-adds per second a 3 x 3 convolution reaches on a device.

    The convolution is one of a ResNet's, and the best of its runs counts: what else the machine
    does can only slow them.
    """
    import torch

    images = torch.zeros(16, 128, 28, 28, device=device)
    layer = torch.nn.Conv2d(128, 128, 3, padding=1).to(device)
    work = images.numel() * 9 * 128
    best, began = float("inf"), time.perf_counter()
    with torch.inference_mode():
        while time.perf_counter() - began < SECONDS:
            start = time.perf_counter()
            layer(images)[0, 0, 0, 0].item()  # waits until the device is done
            best = min(best, time.perf_counter() - start)
    return work / best


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
