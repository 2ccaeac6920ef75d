"""Divides any network into stages that partition its parameters and buffers.

Every tensor has a time, when it is first used, and every stage is a span of time; see
`boundaries` for where one ends and the next begins. There are no rules per architecture.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence

from torch import nn

from graft.backbones.backbone import Stage
from graft.backbones.boundaries import find_boundaries
from graft.backbones.trace import Trace, is_spatial, owner, tensor_times
from graft.errors import BackboneError


def find_stages(seen: Trace, without: tuple[str, ...] = ()) -> tuple[Stage, ...]:
    """Divide a traced network into stages.

    Args:
        seen: What the network did.
        without: Paths of layers that are removed from it; they belong to no stage.

    Returns:
        Stages in execution order: "stem", "stage1", "stage2", ...

    Raises:
        BackboneError: A parameter belongs to a module that never runs, or to modules of different
            stages, or there are no layers.

    Example:
        >>> from torch import nn
        >>> from graft.backbones.trace import trace
        >>> network = nn.Sequential(
        ...     nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3)
        ... )
        >>> for stage in find_stages(trace(network, (16, 16))):
        ...     print(stage.name, stage.modules, stage.shape)
        stem ('0',) (8, 14, 14)
        stage1 ('1', '2') (8, 6, 6)
        stage2 ('3',) (8, 4, 4)
    """
    times = tensor_times(seen)
    kept = {name: time for name, time in times.items() if owner(name) not in without}
    starts = find_boundaries(seen, times, without)
    modules = _modules(seen, kept, starts, without)
    shapes = find_shapes(seen, modules, without)
    parameters = _in_order([name for name, _ in seen.network.named_parameters()], kept, starts)
    buffers = _in_order([name for name, _ in seen.network.named_buffers()], kept, starts)
    _refuse_shared(seen.network, modules, parameters)
    return tuple(
        Stage(
            name=f"stage{index}" if index else "stem",
            modules=tuple(modules[index]),
            parameters=tuple(parameters[index]),
            buffers=tuple(buffers[index]),
            shape=shapes[index],
        )
        for index in range(len(starts) + 1)
    )


def _refuse_shared(
    network: nn.Module, modules: list[list[str]], parameters: list[list[str]]
) -> None:
    """Raise where a module of one stage uses a parameter of another, which it cannot freeze."""
    home = {
        id(network.get_parameter(name)): index
        for index, names in enumerate(parameters)
        for name in names
    }
    for index, paths in enumerate(modules):
        for path in paths:
            for name, parameter in network.get_submodule(path).named_parameters():
                if home.get(id(parameter), index) != index:
                    raise BackboneError(
                        f"'{path}.{name}' is shared between stages, which could not be frozen "
                        "apart.",
                        "Choose another backbone.",
                    )


def _in_order(names: list[str], times: dict[str, int], starts: list[int]) -> list[list[str]]:
    """Return the names that have a time per stage, each list in order of time."""
    spans: list[list[str]] = [[] for _ in range(len(starts) + 1)]
    for name in sorted((name for name in names if name in times), key=times.__getitem__):
        spans[bisect_right(starts, times[name])].append(name)
    return spans


def _modules(
    seen: Trace, times: dict[str, int], starts: list[int], without: tuple[str, ...]
) -> list[list[str]]:
    """Return, per stage, the largest modules whose tensors and calls all lie in it."""
    when: dict[str, int] = {}
    stages: dict[str, set[int]] = defaultdict(set)
    calls = {call.path: call.start for call in reversed(seen.calls) if _is_leaf(call.module)}
    marks = [*((owner(name), time) for name, time in times.items()), *calls.items()]
    for path, time in sorted(marks, key=lambda mark: mark[1]):
        while path and path not in without:
            when.setdefault(path, time)
            stages[path].add(bisect_right(starts, time))
            path = owner(path)
    largest = [
        path
        for path, found in stages.items()
        if len(found) == 1 and len(stages.get(owner(path), (0, 1))) > 1
    ]
    return _in_order(largest, when, starts)


def find_shapes(
    seen: Trace, modules: Sequence[Sequence[str]], without: tuple[str, ...] = ()
) -> list[tuple[int, ...]]:
    """Return what each stage hands on: the input of the next, or what reaches the pooling.

    Args:
        seen: What the network did, perhaps on images of another size than the stages came from.
        modules: Paths of the modules of each stage.
        without: Paths of layers that are removed.
    """
    handed = [
        next(call.received for call in seen.calls if _lies_in(call.path, [first]) and call.received)
        for first, *_ in modules[1:]
    ]
    last = [
        call
        for call in sorted(seen.calls, key=lambda call: call.end)
        if _lies_in(call.path, modules[-1])
        and any(True for _ in call.module.parameters())
        and not any(_lies_in(path, [call.path]) for path in without)
    ]
    spatial = [call for call in last if is_spatial(call.returned)]
    return [*handed, (spatial or last)[-1].returned]


def _lies_in(path: str, modules: Sequence[str]) -> bool:
    return any(f"{path}.".startswith(f"{module}.") for module in modules)


def _is_leaf(module: nn.Module) -> bool:
    return not any(module.children())
