"""`graft samples`: a set of sample pictures, written as folders that everything else reads."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graft.errors import RecipeError, nearest
from graft.network import staying_offline
from graft.samples import digits, digits_m, hymenoptera
from graft.samples.staging import staged_folder


@dataclass(frozen=True)
class Samples:
    """A set of sample pictures.

    Args:
        summary: What it is, in words.
        write: Writes it into an empty folder; takes `seed`.
        source: Who made it, and where it is from.
        licence: Its terms.
    """

    summary: str
    write: Callable[..., None]
    source: str
    licence: str


SAMPLES: Mapping[str, Samples] = {
    "digits": Samples(
        "1,797 handwritten digits, 8 x 8 pixels, grey; offline",
        digits.write_digits,
        digits.SOURCE,
        digits.LICENCE,
    ),
    "digits-m": Samples(
        "the same digits on patches of photographs, 32 x 32 pixels, in colour; offline",
        digits_m.write_digits_m,
        digits_m.SOURCE,
        digits_m.LICENCE,
    ),
    "hymenoptera": Samples(
        "398 photographs of ants and bees; downloads 45 MiB once",
        hymenoptera.write_hymenoptera,
        hymenoptera.SOURCE,
        hymenoptera.LICENCE,
    ),
}
"""Every set by its name."""


def write_samples(
    name: str, folder: str | os.PathLike[str], *, seed: int = 0, offline: bool = False
) -> dict[str, Any]:
    """Write a set of sample pictures as `train|val[|test]/<class>/…`.

    Args:
        name: "digits", "digits-m" or "hymenoptera".
        folder: New, or an existing empty folder. It is there whole or not at all.
        seed: Of what is random in the set: the patches of "digits-m".
        offline: Ask nothing of the network.

    Returns:
        `samples, path, classes, images {train, val, test}, source, licence`.

    Raises:
        RecipeError: There is no such set, or the folder is in use.
        ResourceError: The network is needed and not there, or the disk is full.
        DataError: What was downloaded is not the set.

    Example:
        >>> import tempfile
        >>> written = write_samples("digits", Path(tempfile.mkdtemp()) / "digits")
        >>> written["classes"][:3], written["images"]["test"]
        (['0', '1', '2'], 899)
    """
    if name not in SAMPLES:
        raise RecipeError(
            f"There are no samples '{name}'.", f"Choose one of {nearest(name, SAMPLES)}."
        )
    chosen = SAMPLES[name]
    with staying_offline(offline), staged_folder(folder) as staged:
        chosen.write(staged, seed=seed)
        images = {split: _count(staged / split) for split in ("train", "val", "test")}
        classes = sorted(place.name for place in (staged / "train").iterdir() if place.is_dir())
    return {
        "samples": name,
        "path": os.fspath(folder),
        "classes": classes,
        "images": images,
        "source": chosen.source,
        "licence": chosen.licence,
    }


def _count(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))
