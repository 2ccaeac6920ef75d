"""The device and the precision, through Hugging Face Accelerate."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch

from graft.errors import RecipeError, ResourceError

if TYPE_CHECKING:
    from accelerate import Accelerator

_PRECISIONS = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


def make_accelerator(device: str = "auto", precision: str = "fp32") -> Accelerator:
    """Return an Accelerator for a device and a precision.

    Args:
        device: `auto` takes the best there is; else `cpu`, `cuda`, `cuda:1`, `mps`.
        precision: `fp32`, `bf16` or `fp16`.

    Raises:
        ResourceError: The device is not there.
        RecipeError: The device's name is unknown, or it cannot compute in this precision.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, PartialState

    _require(device, precision)
    kind = torch.device("cpu" if device == "auto" else device)
    # Accelerate keeps its first device and precision for the whole process; a run has its own.
    AcceleratorState._reset_state(reset_partial_state=True)
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    if kind.index is not None:
        torch.cuda.set_device(kind)
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision=_PRECISIONS[precision])
    if kind.index is not None:
        PartialState().device = kind
    return accelerator


def find_device(device: str = "auto", precision: str = "fp32") -> torch.device:
    """Return the device that `make_accelerator` would compute on; the CPU without loading it.

    Raises:
        ResourceError: The device is not there.
        RecipeError: The device's name is unknown, or it cannot compute in this precision.

    Example:
        >>> find_device("cpu")
        device(type='cpu')
    """
    _require(device, precision)
    if _on_cpu(device):
        return torch.device("cpu")
    found: torch.device = make_accelerator(device, precision).device
    return found


def _require(device: str, precision: str) -> None:
    require_device(device)
    if precision == "fp16" and _on_cpu(device):
        raise RecipeError(
            "--precision fp16 needs an accelerator, but this run is on the CPU.",
            "Use --precision bf16 or fp32.",
        )


def _on_cpu(device: str) -> bool:
    return device == "cpu" or (device == "auto" and not _accelerated())


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
