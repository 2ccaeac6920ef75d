"""Runs the code of a network in two parts, with nothing known about how it is written.

A network's code consists of *steps*: calls of the modules that lie wholly below the cut, and tensor
operations between them. The steps before the cut are recorded once, on the meta device where
nothing is computed. Then the first part runs the code and leaves it after the last of these steps;
the second part runs the same code again, skips them, and hands out in their place what the first
part kept. Results that only other skipped steps use are stood in for by tensors that have a
shape and no values.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_iter, tree_map_only

from graft.errors import BackboneError

SHAPE_ONLY = frozenset(
    {
        Tensor.size,
        Tensor.dim,
        Tensor.numel,
        Tensor.__len__,
        *(getattr(Tensor, name).__get__ for name in ("shape", "ndim", "dtype", "requires_grad")),
    }
)
"""Operations that need no values of a tensor."""


@dataclass
class Script:
    """The steps before a cut, for one number of images.

    Args:
        images: What the network received, without values.
        names: What each step was: the path of a module, or an operation.
        results: What each step returned, without values.
        crossing: The results and images that steps after the cut use, in order of origin.
    """

    images: Tensor
    names: list[Any] = field(default_factory=list)
    results: list[Any] = field(default_factory=list)
    crossing: list[Tensor] = field(default_factory=list)


class Reached(Exception):
    """The code has come to the cut; a way out of it, not a failure."""


class _Steps(TorchFunctionMode, ABC):
    """Sees every step of a network's code; what happens inside one goes on undisturbed."""

    inside = False

    @abstractmethod
    def step(self, name: Any, compute: Callable[[], Any], received: Any) -> Any:
        """Return the result of one step.

        Args:
            name: The path of a module, or an operation.
            compute: Does the step.
            received: Its arguments.
        """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return self.step(func, partial(func, *args, **(kwargs or {})), (args, kwargs))

    def unseen(self, compute: Callable[[], Any]) -> Any:
        """Compute without this mode, which some of PyTorch's shortcuts do not like."""
        self.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        self.inside = True
        try:
            return compute()
        finally:
            self.inside = False
            self.__enter__()  # type: ignore[no-untyped-call]


class Record(_Steps):
    """Writes a script.

    Args:
        images: What the network will receive, on the meta device.
        units: Paths of the modules above the cut.
        tensors: The network's own tensors above the cut.
    """

    def __init__(self, images: Tensor, units: Iterable[str], tensors: Iterable[Tensor]) -> None:
        super().__init__()
        self.script = Script(images)
        self.above = {*units, *(id(tensor) for tensor in tensors)}
        self.origin: dict[int, Tensor] = {id(images): images}
        self.reached = False
        self.crossed: set[int] = set()

    def step(self, name: Any, compute: Callable[[], Any], received: Any) -> Any:
        """Record a step before the cut, or what a step after it uses."""
        tensors = [leaf for leaf in tree_iter(received) if isinstance(leaf, Tensor)]
        self.reached |= any(id(tensor) in self.above for tensor in tensors)
        self.reached |= isinstance(name, str) and name in self.above
        if self.reached:
            if name not in SHAPE_ONLY:
                self.crossed.update(id(tensor) for tensor in tensors)
            return compute()
        result = compute()
        self.script.names.append(name)
        self.script.results.append(result)
        for leaf in tree_iter(result):
            if isinstance(leaf, Tensor):
                self.origin.setdefault(id(leaf), leaf)
        return result

    def finish(self) -> Script:
        """Return the script when the network has run."""
        self.script.crossing = [
            tensor for key, tensor in self.origin.items() if key in self.crossed
        ]
        return self.script


class Stop(_Steps):
    """Computes the steps of a script, keeps what crosses the cut, and leaves.

    Args:
        script: Of the same number of images.
        images: What the network will receive.
    """

    def __init__(self, script: Script, images: Tensor) -> None:
        super().__init__()
        self.script = script
        self.done = 0
        self.wanted = {id(tensor) for tensor in script.crossing}
        self.kept: dict[int, Tensor] = {id(script.images): images}

    def step(self, name: Any, compute: Callable[[], Any], received: Any) -> Any:
        """Compute a step before the cut, or leave."""
        if self.done == len(self.script.names):
            raise Reached
        _agree(self.script, self.done, name)
        result = compute()
        expected = tree_iter(self.script.results[self.done])
        for leaf, twin in zip(tree_iter(result), expected, strict=True):
            if id(twin) in self.wanted:
                self.kept[id(twin)] = leaf
        self.done += 1
        return result


class Skip(_Steps):
    """Skips the steps of a script and computes those after them.

    Args:
        script: Of the same number of images.
        crossing: What the first part kept, as `Stop` did.
        device: Of the network.
    """

    def __init__(self, script: Script, crossing: Iterable[Tensor], device: torch.device) -> None:
        super().__init__()
        self.script = script
        self.done = 0
        self.device = device
        twins = (id(tensor) for tensor in script.crossing)
        self.kept: Mapping[int, Tensor] = dict(zip(twins, crossing, strict=True))

    def images(self) -> Tensor:
        """Return what to give the network: the images where they cross, else their shape."""
        return self.kept.get(id(self.script.images), self.script.images)

    def step(self, name: Any, compute: Callable[[], Any], received: Any) -> Any:
        """Hand out what a step before the cut returned, or compute one after it."""
        if self.done == len(self.script.names):
            return compute()
        _agree(self.script, self.done, name)
        result = self.script.results[self.done]
        self.done += 1
        if isinstance(result, torch.device):
            return self.device
        return tree_map_only(Tensor, lambda twin: self.kept.get(id(twin), twin), result)


@contextmanager
def steps(mode: _Steps, network: nn.Module, units: Iterable[str]) -> Iterator[None]:
    """Let `mode` see the steps of a network, whose `units` are single ones.

    Args:
        mode: One of the modes of this file.
        network: Is the same afterwards.
        units: Paths of the modules that are one step each.
    """
    changed = []
    try:
        for path in units:
            module = network.get_submodule(path)
            changed.append((module, module.__dict__.get("forward")))
            module.forward = partial(_unit, mode, path, module.forward)
        with mode:
            yield
    finally:
        for module, before in changed:
            del module.forward
            if before is not None:
                module.forward = before


def _unit(mode: _Steps, path: str, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if mode.inside:  # a module that is part of several, and here of a step
        return forward(*args, **kwargs)
    compute = partial(mode.unseen, partial(forward, *args, **kwargs))
    return mode.step(path, compute, (args, kwargs))


def _agree(script: Script, index: int, name: Any) -> None:
    if script.names[index] != name:
        raise BackboneError(
            f"The network takes another way through its code than before: {name} in place of "
            f"{script.names[index]}.",
            "Run it whole; it cannot be cut in this mode.",
        )
