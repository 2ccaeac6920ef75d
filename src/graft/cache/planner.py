"""Whether activations at a cut are worth keeping, and where: a decision from measured costs.

The decision changes no number, only the time a run takes: activations that are not kept are made
again, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Where = Literal["memory", "disk", "nowhere"]

WORTH_WRITING = 0.25
"""Activations go to disk where writing them costs at most this share of making them: a later run
may need them."""


@dataclass(frozen=True)
class Costs:
    """What was measured on this machine, in seconds.

    Args:
        make: To decode, augment and run one image through the frozen stages.
        write: To write one byte to the cache's disk.
        read: To read one byte from it.
    """

    make: float
    write: float
    read: float


@dataclass(frozen=True)
class Space:
    """Bytes that may be used.

    Args:
        memory: Of main memory.
        disk: Of the cache folder's disk; 0 where there is no folder.
    """

    memory: int
    disk: int


@dataclass(frozen=True)
class Demand:
    """What a phase wants of the activations of some images.

    Args:
        images: How many there are.
        views: Different views of each that the phase uses.
        uses: How often the phase uses each image.
        bytes_each: Size of the activations of one image.
    """

    images: int
    views: int
    uses: int
    bytes_each: int

    @property
    def bytes(self) -> int:
        """Size of all activations that differ."""
        return self.images * min(self.views, self.uses) * self.bytes_each

    @property
    def repeated(self) -> int:
        """Activations that would be made again if none were kept."""
        return self.images * max(0, self.uses - self.views)


@dataclass(frozen=True)
class Decision:
    """Where activations are kept, and why.

    Args:
        where: "memory" for this run, "disk" for later ones as well, or "nowhere".
        reason: A sentence with the measured figures.
        saves: Seconds that this run saves by it; below 0 where it costs more.
    """

    where: Where
    reason: str
    saves: float


def decide(demand: Demand, costs: Costs, space: Space) -> Decision:
    """Choose where the activations of some images are kept.

    Example:
        >>> tenth = Demand(images=1000, views=1, uses=10, bytes_each=100_000)
        >>> costs = Costs(make=0.01, write=1e-9, read=1e-9)
        >>> decide(tenth, costs, Space(memory=10**9, disk=10**10)).where
        'disk'
        >>> decide(tenth, costs, Space(memory=10**9, disk=0)).where
        'memory'
        >>> once = Demand(images=1000, views=1, uses=1, bytes_each=100_000)
        >>> decide(once, costs, Space(memory=10**9, disk=0)).where
        'nowhere'
    """
    write, read = costs.write * demand.bytes_each, costs.read * demand.bytes_each
    activations = demand.bytes // demand.bytes_each if demand.bytes_each else 0
    made, written = _milliseconds(costs.make), _milliseconds(write)
    size = (
        f"{activations:,} activations of {_bytes(demand.bytes_each)}, {_bytes(demand.bytes)} in all"
    )
    spared = demand.repeated * costs.make
    if demand.bytes <= space.disk and write <= WORTH_WRITING * costs.make:
        saves = spared - activations * write - demand.repeated * read
        why = f"to write one takes {written}, less than a quarter of the {made} or more to make it"
        return Decision("disk", f"{size}; {why}", saves)
    if demand.repeated and demand.bytes <= space.memory:
        return Decision("memory", f"{size}; each is used {demand.uses} times", spared)
    if not demand.repeated:
        why = "each is used once in this run"
    else:
        why = f"more than the {_bytes(space.memory)} of memory that may be used"
    if space.disk and demand.bytes > space.disk:
        why += f", and more than the {_bytes(space.disk)} of disk"
    elif space.disk:
        why += f", and to write one takes {written}, to make it {made}"
    return Decision("nowhere", f"{size}; {why}", 0.0)


def decide_images(demand: Demand, decode: float, memory: int) -> Decision:
    """Choose whether decoded images stay in memory between epochs: as many as there is room for.

    On disk they would have to be read and unpacked again, which is what decoding is.

    Args:
        demand: Of the images; `bytes_each` is the size of a decoded one.
        decode: Seconds to decode one.
        memory: Bytes that may be used.

    Example:
        >>> photographs = Demand(images=1000, views=1, uses=5, bytes_each=750_000)
        >>> decide_images(photographs, decode=0.004, memory=10**9).saves
        16.0
        >>> decide_images(photographs, decode=0.004, memory=75_000_000).reason
        '100 of 1,000 images of 750 kB; to decode one takes 4 ms, and each is looked at 5 times'
    """
    room = min(demand.images, memory // max(1, demand.bytes_each))
    again = demand.repeated // max(1, demand.images)
    if not room or not again:
        why = "there is no room for one" if again else "each is looked at once"
        return Decision("nowhere", f"{demand.images:,} images; {why}", 0.0)
    why = f"to decode one takes {_milliseconds(decode)}, and each is looked at {demand.uses} times"
    size = f"{room:,} of {demand.images:,} images of {_bytes(demand.bytes_each)}"
    return Decision("memory", f"{size}; {why}", room * again * decode)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"


def _bytes(count: int) -> str:
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}"
