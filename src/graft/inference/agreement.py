"""Whether two ways to compute the same thing give the same numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

TOLERANCE = 1e-4
"""Largest difference between the two, as a share of the largest number, in fp32."""


def differ(exact: Tensor, quick: Tensor, tolerance: float = TOLERANCE) -> str | None:
    """Describe how two tensors differ by more than rounding; None if they do not.

    Args:
        exact: What is right.
        quick: What is to be as good.
        tolerance: Largest difference, as a share of the largest exact number.

    Example:
        >>> exact = Tensor([1.0, 100.0])
        >>> differ(exact, Tensor([1.001, 100.0])) is None
        True
        >>> differ(exact, Tensor([2.0, 100.0]))
        'its numbers differ by 1e-02 of the largest, more than 1e-04'
    """
    if exact.shape != quick.shape:
        return f"it gives {tuple(quick.shape)} numbers in place of {tuple(exact.shape)}"
    if exact.numel() == 0:
        return None
    largest = float(exact.detach().abs().max())
    apart = float((exact - quick).detach().abs().max())
    if apart <= tolerance * largest:  # never true of NaN
        return None
    return f"its numbers differ by {apart / largest:.0e} of the largest, more than {tolerance:.0e}"


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Compute in full fp32 (no TF32), so that rounding neither hides nor causes a difference.

    Args:
        device: Where it is computed.
    """
    cuda: list[Any] = [torch.backends.cudnn.conv, torch.backends.cuda.matmul]  # type: ignore[attr-defined]
    kinds = cuda if device.type == "cuda" else []
    before = [kind.fp32_precision for kind in kinds]
    try:
        for kind in kinds:
            kind.fp32_precision = "ieee"
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        for kind, precision in zip(kinds, before, strict=True):
            kind.fp32_precision = precision


def in_words(error: Exception) -> str:
    r"""Return the first line of an error's message, or the error's name if that is empty.

    Example:
        >>> in_words(ValueError("no\nreally")), in_words(AssertionError())
        ('no', 'AssertionError')
    """
    return str(error).strip().partition("\n")[0] or type(error).__name__


@contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """Put a module and all its parts into eval mode, and each back into its own afterwards.

    Example:
        >>> network = nn.Sequential(nn.Dropout()).train()
        >>> with eval_mode(network):
        ...     network[0].training
        False
        >>> network[0].training
        True
    """
    training = {child: child.training for child in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for child, mode in training.items():
            child.training = mode


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the context in which a network computes in some precision.

    Args:
        device: Where it runs.
        precision: "fp32", "bf16" or "fp16".

    Example:
        >>> with autocast(torch.device("cpu"), "bf16"):
        ...     (torch.ones(1, 2) @ torch.ones(2, 1)).dtype
        torch.bfloat16
    """
    dtype = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    return torch.autocast(device.type, dtype, enabled=dtype is not None)
