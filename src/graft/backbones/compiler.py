"""Work that never compiles, done without loading PyTorch's compiler.

Importing `torch._dynamo` takes longer than a small run. torchvision loads it to ask one question
that no classifier asks, and PyTorch itself before the first operation on the meta device that is
written in Python, to tell the compiler to leave it alone.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock
from types import ModuleType
from typing import Any

_COMPILER = "torch._dynamo"
_UTILITIES = "torch._dynamo.utils"
_MARK = "__dynamo_disable"
_one_at_a_time = RLock()


@contextmanager
def without_compiler() -> Iterator[None]:
    """Let stand-ins answer for `torch._dynamo`, where it is not loaded yet.

    They pass on whatever they cannot answer themselves, to the compiler that is then loaded. On
    leaving nothing is left of them.

    Example:
        >>> import torch
        >>> with without_compiler():
        ...     size = torch.ones(2, 3, device="meta").softmax(dim=1).shape
        >>> size, type(sys.modules.get("torch._dynamo")).__name__ != "_StandIn"
        (torch.Size([2, 3]), True)
    """
    with _one_at_a_time:
        importlib.import_module("torch")  # which may look for the compiler, and must not find this
        if _COMPILER in sys.modules:
            yield
            return
        left_alone: list[Callable[..., Any]] = []
        answers: dict[str, dict[str, Any]] = {
            _COMPILER: {"disable": _Disable(left_alone)},
            _UTILITIES: {"is_compile_supported": _is_compile_supported},
        }
        sys.modules.update({name: _StandIn(name, known) for name, known in answers.items()})
        try:
            yield
        finally:
            _remove_stand_ins()
            for function in left_alone:
                vars(function).pop(_MARK, None)


def load_torchvision() -> ModuleType:
    """Import torchvision in a fraction of the time, and return it.

    Example:
        >>> load_torchvision().models.list_models()[0]
        'alexnet'
    """
    try:
        with without_compiler():
            return importlib.import_module("torchvision")
    except Exception:  # another version may want more of the compiler than stands in for it
        return importlib.import_module("torchvision")


def _remove_stand_ins() -> None:
    for name in (_COMPILER, _UTILITIES):
        if isinstance(sys.modules.get(name), _StandIn):
            del sys.modules[name]


def _real(name: str) -> ModuleType:
    _remove_stand_ins()
    return importlib.import_module(name)


class _StandIn(ModuleType):
    """A module that knows a few names, and loads the real one for any other."""

    def __init__(self, name: str, known: dict[str, Any]) -> None:
        super().__init__(name)
        self.__dict__.update(known)

    def __getattr__(self, name: str) -> Any:
        looked_into = (self.__name__, name) == (_COMPILER, "__path__")  # for another submodule
        if name.startswith("__") and not looked_into:
            raise AttributeError(name)  # only the import system looks for these
        return getattr(_real(self.__name__), name)


class _Disable:
    """Stands in for `torch._dynamo.disable`: with no compiler, a function is left alone anyway.

    PyTorch notes on a function that this was done; the notes are kept here, so that they can be
    taken back before a compiler comes.
    """

    def __init__(self, left_alone: list[Callable[..., Any]]) -> None:
        self.left_alone = left_alone

    def __call__(self, function: Callable[..., Any], *_: Any, **__: Any) -> Callable[..., Any]:
        self.left_alone.append(function)
        return function


def _is_compile_supported(device_type: Any) -> Any:
    """Ask the compiler, which is loaded for it."""
    return _real(_UTILITIES).is_compile_supported(device_type)


# As on the original: compiled code takes the answer for a constant.
_is_compile_supported._dynamo_marked_constant = True  # type: ignore[attr-defined]
