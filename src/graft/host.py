"""The host process: its state kept as it was, and freed memory kept for training."""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import random
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np
import torch

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """Ask the C library to keep freed blocks, where it is glibc; once per process.

    Returns:
        Whether it is done. The process's peak memory stays as it was; it falls back less between
        peaks. With the environment variable GRAFT_KEEP_MEMORY=0 nothing is done.
    """
    return os.environ.get("GRAFT_KEEP_MEMORY", "") != "0" and _asked()


@functools.cache
def _asked() -> bool:
    if platform.libc_ver()[0] != "glibc":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 64 << 20))
    return all(mallopt(name, value) == 1 for name, value in settings)


@functools.cache
def _first_process() -> int:
    """Return which process was the first to compute; a fork inherits the answer."""
    return os.getpid()


def survive_fork() -> None:
    """Compute with one thread from here on, in a fork of a process that has computed.

    The threads with which the parent process computed are not in the fork, and OpenMP waits for
    them for ever. So the number of torch's threads is set to one, and stays so: whoever raised it
    again would wait as well. Everywhere else nothing is done.
    """
    if _first_process() != os.getpid() and torch.get_num_threads() > 1:
        torch.set_num_threads(1)
        warnings.warn(
            "This process is a fork of one that has computed with torch, whose threads do not "
            "survive a fork: it computes with one thread. Start processes with multiprocessing's "
            "'spawn' to use all cores.",
            RuntimeWarning,
            stacklevel=2,
        )


P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def isolated() -> Iterator[None]:
    """Compute under PyTorch's initial settings, and leave the host's as they were.

    Inside, the default dtype is float32 and the default device the CPU; gradients are enabled;
    inference mode and autocast are off. On leaving, all of these and the random generators of
    PyTorch, NumPy and Python are as before. The default dtype and the generators belong to the
    whole process, so other threads of it see the change meanwhile; the rest is the thread's own.
    In a fork of a process that has computed, see `survive_fork`.

    It is also a decorator of functions; `isolated_steps` is one of generators.

    Example:
        >>> torch.set_default_dtype(torch.float64)
        >>> with torch.no_grad(), isolated():
        ...     torch.zeros(1).dtype, torch.is_grad_enabled()
        (torch.float32, True)
        >>> torch.zeros(1).dtype
        torch.float64
        >>> torch.set_default_dtype(torch.float32)
    """
    survive_fork()
    kinds, devices = {"cpu"}, []
    if torch.accelerator.is_available():
        accelerator = torch.accelerator.current_accelerator()
        assert accelerator is not None
        kinds.add(accelerator.type)
        devices = list(range(torch.accelerator.device_count()))
    of_python, of_numpy, dtype = random.getstate(), np.random.get_state(), torch.get_default_dtype()
    with ExitStack() as stack:
        stack.callback(random.setstate, of_python)
        stack.callback(np.random.set_state, of_numpy)
        kind = next(iter(kinds - {"cpu"}), "cuda")
        stack.enter_context(torch.random.fork_rng(devices, device_type=kind))
        if dtype != torch.float32:
            stack.callback(torch.set_default_dtype, dtype)
            torch.set_default_dtype(torch.float32)
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for each in kinds:
            if torch.is_autocast_enabled(each):
                stack.enter_context(torch.autocast(each, enabled=False))
        yield


def isolated_steps(make: Callable[P, Iterator[T]]) -> Callable[P, Generator[T, None, None]]:
    """Decorate a generator so that each of its steps is `isolated`, and the host's code is not.

    Example:
        >>> @isolated_steps
        ... def modes():
        ...     yield torch.is_grad_enabled()
        >>> with torch.no_grad():
        ...     [(inside, torch.is_grad_enabled()) for inside in modes()]
        [(True, False)]
    """

    @wraps(make)
    def steps(*args: P.args, **options: P.kwargs) -> Generator[T, None, None]:
        iterator, done = make(*args, **options), object()
        while True:
            with isolated():
                step = next(iterator, done)
            if step is done:
                return
            yield step  # type: ignore[misc]

    return steps
