"""Which normalisations of a network can be folded into the layer before them.

The network's own code is run once, and watched: which layer made a tensor, and who looked at it.
Nothing is assumed of how the code is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from graft.engine.norms import NormCall, is_normalisation

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
"""Operations that ask a tensor for nothing that folding changes."""


@dataclass(frozen=True)
class Pair:
    """A layer whose output only a normalisation looks at.

    Args:
        layer: Path of a convolution or linear layer, run once.
        norm: Path of the normalisation, run once and on nothing else.
        parts: Names of the parts of `norm` that run one after the other once it has normalised:
            an activation, say.
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
    """What a layer made, and which normalisations looked at it: "" stands for any other code."""

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
        """Note that the code which now runs looks at these values."""
        for tensor in _tensors(values):
            if id(tensor) in self.layers:
                self.uses[id(tensor)] += 1
            elif tensor in self.products:
                norm = next((norm.path for norm in self.norms if norm.running), "")
                self.products[tensor].seen_by.add(norm)

    def note(
        self, result: Tensor, input: Tensor, weight: Tensor, bias: Any = None, *_: Any, **__: Any
    ) -> None:
        """Note what a layer made with its own weight and bias, its outputs along dimension 1."""
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
