"""What this machine can do: cores, memory, accelerator, a measured speed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
