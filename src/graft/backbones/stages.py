"""Divides a network into stages, where the grid of positions shrinks or between blocks."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

from torch import nn

from graft.backbones.backbone import Stage
from graft.backbones.trace import Call, Trace, Use, is_spatial, owner, tensor_times
from graft.errors import BackboneError

SHRINKS = 1.5
FEWEST_GRIDS = 3
MOST_BLOCKS = 12
STEM_NAMES = frozenset({"stem", "patch_embed", "patch_embeddings", "embeddings", "embedder"})


def find_boundaries(seen: Trace, times: dict[str, int], without: tuple[str, ...]) -> list[int]:
    """Return the times at which the stages after the stem begin.

    Args:
        seen: What the network did.
        times: When each tensor is first used.
        without: Paths of layers that are removed and do not count.

    Raises:
        BackboneError: The network has no convolution or linear layer.

    Example:
        >>> from torch import nn
        >>> from graft.backbones.trace import tensor_times, trace
        >>> seen = trace(nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 2, 2)), (8, 8))
        >>> [second_begins] = find_boundaries(seen, tensor_times(seen), ())
        >>> second_begins == seen.calls[2].start
        True
    """
    layers = [use for use in seen.uses if use.positions and use.stack[-1].path not in without]
    if not layers:
        raise BackboneError(
            "The network has no convolution or linear layer before its classifier.",
            "Choose another backbone.",
        )
    sizes = {name: tensor.numel() for name, tensor in seen.network.named_parameters()}
    named_stem = next((call for call in layers[0].stack if _name(call) in STEM_NAMES), None)
    shrinks = _shrinks(layers, after=named_stem.end if named_stem else 0, pooled=_pooled(seen))
    starts = {_begin(shrink, shrinks, layers, sizes, seen) for shrink in shrinks}
    if 1 + sum(shrink.grid > 1 for shrink in shrinks) < FEWEST_GRIDS:
        blocks = _blocks(seen, layers[0].time, times, sizes)
        starts = {start for start in starts if not _within(start, blocks)}
        starts |= {call.start for call in blocks[:: ceil(len(blocks) / MOST_BLOCKS) or 1]}
    stem_ends = _stem_end(layers, starts, named_stem)
    starts = {stem_ends, *(start for start in starts if start > stem_ends)} - {0}
    used = [time for name, time in times.items() if owner(name) not in without]
    return _with_tensors(sorted(starts), used)


def _with_tensors(starts: list[int], used: list[int]) -> list[int]:
    """Return the starts without those of stages in which no tensor is used."""
    ends = [*starts[1:], max(used, default=0) + 1]
    spans = zip(starts, ends, strict=True)
    return [start for start, end in spans if any(start <= time < end for time in used)]


class _Shrink(NamedTuple):
    """The first layer on a coarser grid."""

    layer: Use
    grid: int


def _shrinks(layers: list[Use], after: int, pooled: int) -> list[_Shrink]:
    """Return the places where the grid has become coarser."""
    places, grid = [], 0
    for use in reversed([use for use in layers if use.time > after]):
        if use.positions is not None and (use.positions > 1 or use.time > pooled):
            grid = max(grid, use.positions)
            places.append(_Shrink(use, grid))
    found, current = [], grid
    for place in reversed(places):
        if place.grid * SHRINKS <= current:
            found.append(place)
            current = place.grid
    return found


def _pooled(seen: Trace) -> int:
    """Return the time from which on no module returns more than one position."""
    return max((call.end for call in seen.calls if is_spatial(call.returned)), default=0)


def _begin(
    shrink: _Shrink, shrinks: list[_Shrink], layers: list[Use], sizes: dict[str, int], seen: Trace
) -> int:
    """Return the start of the largest module around a shrink that belongs to the new grid."""
    for call in shrink.layer.stack[1:]:
        if call.start > layers[0].time:
            alone = [other for other in shrinks if _inside(other.layer, call)] == [shrink]
            if (alone and _works_on(shrink.grid, call, layers, sizes)) or _branches(call, seen):
                return call.start
    return shrink.layer.stack[-1].start if len(shrink.layer.stack) > 1 else shrink.layer.time


def _branches(call: Call, seen: Trace) -> bool:
    """Whether two layers or blocks directly inside `call` start from the same tensor."""
    sources = [
        inner.source
        for inner in seen.calls
        if inner.caller is call and inner.source and any(True for _ in inner.module.parameters())
    ]
    return len(set(sources)) < len(sources)


def _works_on(grid: int, call: Call, layers: list[Use], sizes: dict[str, int]) -> bool:
    """Whether at least half of the weights of the layers inside `call` run on `grid` or less."""
    coarse = fine = 0
    for use in layers:
        if _inside(use, call):
            weight = sum(sizes.get(name, 0) for name in use.tensors)
            on_grid = use.positions is not None and use.positions < grid * SHRINKS
            coarse, fine = coarse + weight * on_grid, fine + weight * (not on_grid)
    return coarse >= fine


def _blocks(seen: Trace, first: int, times: dict[str, int], sizes: dict[str, int]) -> list[Call]:
    """Return the calls of the heaviest family of equal modules under one parent."""
    families: dict[tuple[str, type], dict[str, Call]] = defaultdict(dict)
    for call in seen.calls:
        if call.start > first:
            families[owner(call.path), type(call.module)].setdefault(call.path, call)

    def weight(family: list[Call]) -> int:
        spans = [(call.start, call.end) for call in family]
        return sum(
            size
            for name, size in sizes.items()
            if any(start < times[name] < end for start, end in spans)
        )

    large = [list(family.values()) for family in families.values() if len(family) > 2]
    return max(large, key=weight, default=[])


def _within(start: int, blocks: list[Call]) -> bool:
    return bool(blocks) and blocks[0].start <= start < blocks[-1].end


def _stem_end(layers: list[Use], starts: set[int], named: Call | None) -> int:
    """Return when the module after the stem starts, 0 if nothing follows."""
    first = layers[0]
    whole = (call for call in first.stack[1:] if not _divided(call, starts))
    stem = named or next(whole, None)
    end = stem.end if stem else first.time
    following = next((use for use in layers if use.time > end), None)
    if following is None:
        return 0
    opening = (
        call.start for call in following.stack if call.start > end and not _divided(call, starts)
    )
    return min([next(opening, following.time), *(start for start in starts if start > end)])


def _divided(call: Call, starts: set[int]) -> bool:
    return any(call.start < start < call.end for start in starts)


def _name(call: Call) -> str:
    return call.path.rpartition(".")[2]


def _inside(use: Use, call: Call) -> bool:
    return call.start < use.time < call.end


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
