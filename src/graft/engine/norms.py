"""What a normalisation by fixed numbers is, and whether a module does nothing else."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from functools import partial
from typing import Any, Generic, TypeGuard, TypeVar

from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from graft.engine.agreement import differ

Source = TypeVar("Source")


def is_normalisation(module: nn.Module) -> TypeGuard[Any]:
    """Whether a module scales and shifts each channel by fixed numbers of its own.

    BatchNorm of any library, frozen or not, with an activation or without.

    Example:
        >>> [is_normalisation(layer) for layer in (nn.BatchNorm2d(4), nn.LayerNorm(4))]
        [True, False]
    """
    statistics = (getattr(module, name, None) for name in ("running_mean", "running_var"))
    return all(isinstance(each, Tensor) for each in statistics) and hasattr(module, "eps")


class NormCall(Generic[Source]):
    """What a normalisation does while its network runs.

    Libraries put more into such a module than its name says. It is plain if, called once, it
    normalises by its numbers, then runs parts of its own one after the other, and nothing else.

    Args:
        path: Its place in the network.
        module: Itself.
        sources: Where tensors come from, filled while the network runs.

    Example:
        >>> norm, images = nn.BatchNorm2d(4).eval(), Tensor(2, 4, 3, 3).normal_()
        >>> call = NormCall("norm", norm, {images: "conv"})
        >>> hooks = list(call.watch())
        >>> output = norm(images)
        >>> call.plain, call.source
        (True, 'conv')
    """

    def __init__(
        self, path: str, module: nn.Module, sources: MutableMapping[Tensor, Source]
    ) -> None:
        self.path, self.module = path, module
        self.source: Source | None = None
        self.parts: list[str] = []
        self.running = False
        self._sources = sources
        self._count = 0
        self._plain = True
        self._expected: Tensor | None = None
        self._last: Any = None

    @property
    def plain(self) -> bool:
        """Whether it did nothing but normalise and then run `parts`."""
        return self._count == 1 and self._plain

    def watch(self) -> Iterator[RemovableHandle]:
        """Register hooks that follow the module and its parts."""
        yield self.module.register_forward_pre_hook(self._begin)
        for name, part in self.module.named_children():
            yield part.register_forward_pre_hook(partial(self._begin_part, name))
            yield part.register_forward_hook(self._end_part)
        yield self.module.register_forward_hook(self._end)

    def _begin(self, module: nn.Module, received: tuple[Any, ...]) -> None:
        self._count += 1
        self.running = True
        first = received[0] if len(received) == 1 else None
        if isinstance(first, Tensor) and first in self._sources:
            self.source = self._sources[first]
            self._expected = _normalised(module, _corner(first))

    def _begin_part(self, name: str, part: nn.Module, received: tuple[Any, ...]) -> None:
        self._compare(received[0] if len(received) == 1 else None)
        self.parts.append(name)

    def _end_part(self, part: nn.Module, received: tuple[Any, ...], output: Any) -> None:
        self._last = output

    def _end(self, module: nn.Module, received: tuple[Any, ...], output: Any) -> None:
        self._compare(output)
        self.running = False
        self._last = None

    def _compare(self, tensor: Any) -> None:
        """Hold what is handed from one part to the next, or out, against what it should be."""
        if self.parts:
            self._plain &= tensor is self._last
        elif self._expected is None or not isinstance(tensor, Tensor):
            self._plain = False
        else:
            self._plain &= differ(self._expected, _corner(tensor)) is None
            self._expected = None


def _normalised(norm: Any, tensor: Tensor) -> Tensor:
    """Do what a normalisation is for, by its numbers and without its code."""
    scale, shift = getattr(norm, "weight", None), getattr(norm, "bias", None)
    mean, variance = norm.running_mean, norm.running_var
    return functional.batch_norm(tensor, mean, variance, scale, shift, eps=norm.eps)


def _corner(tensor: Tensor) -> Tensor:
    """Return a few positions of every channel, which show what is done to each."""
    places = [slice(None)] * 2 + [slice(2)] * (tensor.dim() - 2)
    return tensor[tuple(places)]
