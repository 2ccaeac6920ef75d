"""What a network does, in order: which module runs when, on how many positions, with what tensors.

The network is copied to PyTorch's *meta* device, where tensors have shapes but no values, and run
once in evaluation mode. Nothing is computed and no weights are needed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from graft.errors import BackboneError

# A prime, so that a size divisible by it is an activation and not a table of the network's own.
BATCH = 37
LAYERS = (functional.conv1d, functional.conv2d, functional.conv3d, functional.linear)


@dataclass(eq=False)
class Call:
    """One call of a module, from `start` to `end` on the trace's clock.

    Args:
        path: Dotted path of the module, "" for the network itself.
        module: The module, on the meta device.
        caller: The call that made it, None for the network itself.
        start: Time of entry.
        source: Identity of the first tensor it received, 0 if there was none.
        received: Shape of that tensor, without the batch dimension.
        end: Time of return; what happened inside lies between `start` and `end`.
        returned: Shape of the first tensor it returned, without the batch dimension.
    """

    path: str
    module: nn.Module
    caller: Call | None
    start: int
    source: int = 0
    received: tuple[int, ...] = ()
    end: int = -1
    returned: tuple[int, ...] = ()


@dataclass(frozen=True)
class Use:
    """One operation that used the network's own tensors or was a convolution or linear layer.

    Args:
        time: When, on the trace's clock.
        tensors: Names of the parameters and buffers it used.
        positions: Over how many positions of each image a convolution or linear layer ran.
        stack: Module calls that were open, the network first.
    """

    time: int
    tensors: tuple[str, ...]
    positions: int | None
    stack: tuple[Call, ...]


@dataclass
class Trace:
    """Calls and uses of one pass, in order of time.

    Args:
        network: The copy on the meta device that ran.
        calls: Every call of every module.
        uses: Every operation on the network's own tensors.
    """

    network: nn.Module
    calls: list[Call] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)


def trace(network: nn.Module, image_size: tuple[int, int], channels: int = 3) -> Trace:
    """Run a copy of `network` on the meta device and return what it did.

    Args:
        network: Maps images (N, channels, H, W) to anything. It is left as it is.
        image_size: Height and width in pixels.
        channels: Channels per image.

    Example:
        >>> seen = trace(nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU()), (9, 9))
        >>> [call.path for call in seen.calls]
        ['', '0', '1']
        >>> seen.uses[0].tensors, seen.uses[0].positions
        (('0.weight', '0.bias'), 16)
    """
    twin = copy.deepcopy(network).to("meta").eval()
    seen = Trace(twin)
    recorder = _Recorder(seen)
    with ExitStack() as hooks:
        for path, module in twin.named_modules():
            enter = partial(recorder.enter, path)
            hooks.callback(module.register_forward_pre_hook(enter, with_kwargs=True).remove)
            hooks.callback(module.register_forward_hook(recorder.leave).remove)
        with recorder:
            run(twin, image_size, channels)
    return seen


def run(network: nn.Module, image_size: tuple[int, int], channels: int = 3) -> Any:
    """Run a network that is on the meta device and return its output, which has a shape only."""
    images = torch.empty(BATCH, channels, *image_size, device="meta")
    with torch.no_grad(), torch.device("meta"):
        return network(images)


class _Recorder(TorchFunctionMode):
    """Writes a `Trace` while the network runs."""

    def __init__(self, seen: Trace) -> None:
        super().__init__()
        self.seen = seen
        self.clock = 0
        self.stack: list[Call] = []
        self.alive: list[Tensor | None] = []  # so that no identity is given twice
        self.names = {id(tensor): name for name, tensor in named_tensors(seen.network)}

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    def enter(self, path: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        first = next(_tensors((*args, *kwargs.values())), None)
        self.alive.append(first)
        caller = self.stack[-1] if self.stack else None
        source = id(first) if first is not None else 0
        call = Call(path, module, caller, self.tick(), source, _shape(first))
        self.stack.append(call)
        self.seen.calls.append(call)

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        call = self.stack.pop()
        call.end = self.tick()
        call.returned = _shape(next(_tensors((output,)), None))

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if self.stack and any(True for _ in _tensors((result,))):
            received = tuple(_tensors((*args, *kwargs.values())))
            own = tuple(self.names[id(tensor)] for tensor in received if id(tensor) in self.names)
            positions = _positions(func, received, result)
            if own or positions:
                self.seen.uses.append(Use(self.tick(), own, positions, tuple(self.stack)))
        return result


def named_tensors(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the name and tensor of every parameter, then of every buffer, each once."""
    yield from network.named_parameters()
    yield from network.named_buffers()


def _positions(func: Callable[..., Any], received: tuple[Tensor, ...], result: Any) -> int | None:
    """Over how many positions per image a layer ran, whatever the layout of its activations.

    A layer of `width` outputs that returns N * positions * width numbers ran on `positions`
    positions: N, C, H, W and N, H, W, C and tokens and attention windows alike.
    """
    if func not in LAYERS or len(received) < 2:
        return None
    positions, rest = divmod(result.numel(), BATCH * received[1].shape[0])
    return None if rest else positions


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _shape(tensor: Tensor | None) -> tuple[int, ...]:
    return () if tensor is None else tuple(tensor.shape[1:])


def is_spatial(shape: tuple[int, ...]) -> bool:
    """Whether a shape (without batch) still has positions beside its channels.

    Example:
        >>> is_spatial((512, 7, 7)), is_spatial((197, 768)), is_spatial((512, 1, 1))
        (True, True, False)
    """
    return sum(size > 1 for size in shape) > 1


def tensor_times(seen: Trace) -> dict[str, int]:
    """Return when each parameter and buffer is first used.

    One that takes no part in evaluation (a mask token, a batch counter) has the time of the module
    that owns it.

    Raises:
        BackboneError: A parameter belongs to a module that never runs.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 1, bias=False), nn.BatchNorm2d(8))
        >>> times = tensor_times(trace(network, (4, 4)))
        >>> sorted(times, key=times.__getitem__)[0]
        '0.weight'
    """
    used: dict[str, int] = {}
    entered: dict[str, int] = {}
    for use in seen.uses:
        for name in use.tensors:
            used.setdefault(name, use.time)
    for call in seen.calls:
        entered.setdefault(call.path, call.start)
    parameters = dict(seen.network.named_parameters())
    idle = [name for name in parameters if name not in used and owner(name) not in entered]
    if idle:
        raise BackboneError(
            f"{len(idle)} parameters of the network never run, '{idle[0]}' the first, so their "
            "place in the order of execution is not known.",
            "Choose another backbone, or remove the unused layers.",
        )
    for name, _ in named_tensors(seen.network):
        path = owner(name)
        while name not in used and path not in entered:
            path = owner(path)
        used.setdefault(name, entered.get(path, 0))
    return used


def owner(name: str) -> str:
    """Return the path of the module that holds a tensor or module of this name.

    Example:
        >>> owner("layer1.0.conv1.weight"), owner("layer1")
        ('layer1.0.conv1', '')
    """
    return name.rpartition(".")[0]
