"""Which normalisations of a network can be folded into the layer before them.

The network's own code is run once with hooks: which layer made a tensor, and what used it.
Nothing is assumed of how the code is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeGuard, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle
from torch.utils.weak import WeakIdKeyDictionary

from graft.inference.agreement import differ

Source = TypeVar("Source")

_LAYERS: tuple[type[nn.Module], ...] = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_OPERATIONS = (functional.conv1d, functional.conv2d, functional.conv3d, functional.linear)
_SHAPE_ONLY = frozenset(
    {
        Tensor.size,
        Tensor.dim,
        Tensor.stride,
        Tensor.numel,
        Tensor.__len__,
        *(getattr(Tensor, name).__get__ for name in ("shape", "ndim", "dtype", "device")),
    }
)
"""Operations that read nothing of a tensor that folding changes."""


@dataclass(frozen=True)
class Pair:
    """A layer whose output is used by a normalisation alone.

    Args:
        layer: Path of a convolution or linear layer, run once.
        norm: Path of the normalisation, run once and on nothing else.
        parts: Names of the parts of `norm` that run one after the other once it has normalised:
            such as an activation.
    """

    layer: str
    norm: str
    parts: tuple[str, ...] = ()


@torch.no_grad()
def find_pairs(network: nn.Module, images: Tensor) -> tuple[list[Pair], Any]:
    """Run a network and return which of its normalisations can be folded, and its output.

    Args:
        network: In eval mode. Left as it is.
        images: What it receives. The pairs do not depend on the values, unless its code does.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()).eval()
        >>> find_pairs(network, torch.rand(2, 3, 4, 4))[0]
        [Pair(layer='0', norm='1', parts=())]
    """
    watch = _Watch(network)
    with ExitStack() as hooks:
        for hook in (hook for norm in watch.norms for hook in norm.watch()):
            hooks.callback(hook.remove)
        with watch:
            output = network(images)
    watch.look(output)
    return [pair for norm in watch.norms if (pair := watch.pair(norm))], output


@dataclass
class _Product:
    """The output of a layer, and which normalisations used it; "" stands for any other code."""

    layer: str
    weight: int
    seen_by: set[str] = field(default_factory=set)


class _Watch(TorchFunctionMode):
    """Sees every operation of a network that runs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        places = Counter(id(each) for _, each in network.named_modules(remove_duplicate=False))
        single: dict[str, Any] = {
            path: each for path, each in network.named_modules() if places[id(each)] == 1
        }
        shares = Counter(id(each) for _, each in network.named_parameters(remove_duplicate=False))
        self.layers = {
            id(each.weight): (path, each)
            for path, each in single.items()
            if isinstance(each, _LAYERS) and shares[id(each._parameters.get("weight"))] == 1
        }
        self.uses = Counter[int]()
        self.products = WeakIdKeyDictionary()  # holds no tensor longer than the network does
        self.norms = [
            NormCall[_Product](path, each, self.products)
            for path, each in single.items()
            if is_normalisation(each)
        ]

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in _SHAPE_ONLY:
            self.look(args)
            self.look(kwargs)
        result = func(*args, **kwargs)
        if func in _OPERATIONS:
            self.note(result, *args, **kwargs)
        return result

    def look(self, values: Any) -> None:
        """Record that the code which now runs uses these values."""
        for tensor in _tensors(values):
            if id(tensor) in self.layers:
                self.uses[id(tensor)] += 1
            elif tensor in self.products:
                norm = next((norm.path for norm in self.norms if norm.running), "")
                self.products[tensor].seen_by.add(norm)

    def note(
        self, result: Tensor, input: Tensor, weight: Tensor, bias: Any = None, *_: Any, **__: Any
    ) -> None:
        """Record what a layer made with its own weight and bias, its outputs along dimension 1."""
        path, layer = self.layers.get(id(weight), ("", None))
        if layer is not None and layer.bias is bias and result.dim() == weight.dim():
            self.products[result] = _Product(path, id(weight))

    def pair(self, norm: NormCall[_Product]) -> Pair | None:
        """Return a normalisation and the layer before it, if it can be folded."""
        product = norm.source
        if not norm.plain or product is None or product.seen_by != {norm.path}:
            return None
        if self.uses[product.weight] != 1:
            return None
        return Pair(product.layer, norm.path, tuple(norm.parts))


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, list | tuple | dict):
        for each in values.values() if isinstance(values, dict) else values:
            yield from _tensors(each)


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

    Libraries put more into such a module than its name suggests. It is plain if, called once, it
    normalises by its numbers, then runs its submodules one after the other, and nothing else.

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
