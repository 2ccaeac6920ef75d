"""Where a network is trained and in which precision, by PyTorch's own tools.

Hugging Face Accelerate keeps its device and precision for the whole process, and cannot change them
without its private functions: two runs of one process could not differ, and a host's own would be
overwritten. So it is not used by a run of a single process.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from graft.errors import RecipeError, ResourceError
from graft.inference import autocast


class Accelerator:
    """Takes the steps of an optimizer in some precision on some device.

    Args:
        device: Where the network is.
        precision: `fp32`, `bf16` or `fp16`; the last with dynamic loss scaling.

    Example:
        >>> weight = torch.ones(1, requires_grad=True)
        >>> optimizer = torch.optim.SGD([weight], lr=0.5)
        >>> accelerator = make_accelerator("cpu")
        >>> with accelerator.autocast():
        ...     loss = (weight * 3).sum()
        >>> accelerator.backward(loss)
        >>> accelerator.clip(optimizer, [weight], 10.0).item()
        3.0
        >>> accelerator.step(optimizer)
        >>> weight.item()
        -0.5
    """

    def __init__(self, device: torch.device, precision: str = "fp32") -> None:
        self.device, self.precision = device, precision
        self._scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")

    def autocast(self) -> torch.autocast:
        """Return the context in which the forward pass computes."""
        return autocast(self.device, self.precision)

    def backward(self, loss: Tensor) -> None:
        """Add a loss's gradients to those that are there."""
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def clip(
        self, optimizer: torch.optim.Optimizer, parameters: Iterable[Tensor], most: float
    ) -> Tensor:
        """Scale the gradients so that their norm is at most `most`; returns it as it was."""
        self._scaler.unscale_(optimizer)
        return torch.nn.utils.clip_grad_norm_(parameters, most)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Take a step, unless the gradients overflowed in fp16."""
        self._scaler.step(optimizer)
        self._scaler.update()


def make_accelerator(device: str = "auto", precision: str = "fp32") -> Accelerator:
    """Return what trains on a device in a precision.

    Args:
        device: `auto` takes the best there is; else `cpu`, `cuda`, `cuda:1`, `mps`.
        precision: `fp32`, `bf16` or `fp16`.

    Raises:
        ResourceError: The device is not there.
        RecipeError: The device's name is unknown, or it cannot compute in this precision.
    """
    return Accelerator(find_device(device, precision), precision)


def find_device(device: str = "auto", precision: str = "fp32") -> torch.device:
    """Return the device that a name stands for.

    Raises:
        ResourceError: The device is not there.
        RecipeError: The device's name is unknown, or it cannot compute in this precision.

    Example:
        >>> find_device("cpu")
        device(type='cpu')
    """
    require_device(device)
    found = torch.device("cpu" if device == "auto" else device)
    if device == "auto" and _accelerated():
        found = torch.accelerator.current_accelerator() or found
    if precision == "fp16" and found.type == "cpu":
        raise RecipeError(
            "--precision fp16 needs an accelerator, but this run is on the CPU.",
            "Use --precision bf16 or fp32.",
        )
    return found


def _accelerated() -> bool:
    return torch.accelerator.is_available()


def require_device(device: str) -> None:
    """Check that a device is there.

    Raises:
        RecipeError: Its name is unknown.
        ResourceError: This machine, or this build of torch, does not have it.
    """
    if device == "auto":
        return
    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise RecipeError(
            f"'{device}' is not a device.", "Use auto, cpu, cuda, cuda:0 or mps."
        ) from error
    if wanted.type == "cpu":
        return
    there = _accelerated() and torch.accelerator.current_accelerator().type == wanted.type  # type: ignore[union-attr]
    if not there or (wanted.index or 0) >= torch.accelerator.device_count():
        raise ResourceError(
            f"The device '{device}' is not there: torch {torch.__version__} finds none.",
            "Use --device auto, or install a build of torch for it.",
        )
