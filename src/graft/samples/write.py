"""Sample images written as folders that are whole or absent."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graft.download import staying_offline
from graft.errors import RecipeError, nearest
from graft.files import (
    TEMPORARY,
    locked,
    remove,
    sync_folder,
    temporary_for,
    wrap_os_errors,
    writable_path,
)
from graft.samples import digits, digits_m, hymenoptera, published


@contextmanager
def staged_folder(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty folder beside `folder`, which takes its name when the block succeeds.

    On any error, an interrupt included, it is removed and nothing is left.

    Args:
        folder: New, or an existing empty folder.

    Raises:
        RecipeError: There is something in the folder already; nothing is touched.
        ResourceError: The disk is full or the place cannot be written.

    Example:
        >>> import tempfile
        >>> place = Path(tempfile.mkdtemp()) / "photos"
        >>> with staged_folder(place) as staged:
        ...     _ = (staged / "note.txt").write_text("whole")
        ...     place.exists()
        False
        >>> (place / "note.txt").read_text()
        'whole'
    """
    target = writable_path(folder)
    with ExitStack() as held:
        with wrap_os_errors(target):
            refuse_taken(target)
            _sweep(target.absolute())
            staged = _stage(target.absolute(), held)
        try:
            yield staged
            with wrap_os_errors(target):
                if os.name == "nt" and target.exists():
                    target.rmdir()
                staged.rename(target)  # over an empty folder, and over nothing else
                sync_folder(staged.parent)
        finally:
            try:
                shutil.rmtree(staged, ignore_errors=True)
            except KeyboardInterrupt:  # the second one: it wishes the same as the first
                shutil.rmtree(staged, ignore_errors=True)
                raise


def _stage(target: Path, held: ExitStack) -> Path:
    """Make a folder and hold it, so that nobody takes it for that of a dead process."""
    while True:
        staged = temporary_for(target)
        staged.mkdir(parents=True)
        # Somebody may have swept it in the instant before we hold it; then we take another.
        with suppress(BlockingIOError, FileNotFoundError):
            held.enter_context(locked(staged))
            return staged


def _sweep(target: Path) -> None:
    """Remove the folders that processes which were killed staged for the same target."""
    if not target.parent.is_dir():
        return
    for other in target.parent.glob(f".{glob.escape(target.name)}.*.tmp"):
        if TEMPORARY.fullmatch(other.name) and other.is_dir():
            with suppress(OSError), locked(other):
                remove(other)


def refuse_taken(folder: Path) -> None:
    """Raise a `RecipeError` where a folder holds something, or is none."""
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise RecipeError(
            f"'{folder}' already exists and is not an empty folder.",
            "Choose another folder; Graft never writes among other files.",
        )
    if folder.exists() and folder.samefile(Path.cwd()):
        raise RecipeError(
            f"'{folder}' is the folder that you are in.", "Name a new folder, such as 'samples'."
        )


@dataclass(frozen=True)
class Samples:
    """A set of sample images.

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
    "mnist": Samples(
        "70,000 handwritten digits, 28 x 28 pixels, grey; downloads 11 MiB once",
        published.write_mnist,
        "MNIST, Y. LeCun, C. Cortes and C. Burges, http://yann.lecun.com/exdb/mnist",
        "CC BY-SA 3.0",
    ),
    "usps": Samples(
        "9,298 digits from envelopes, 16 x 16 pixels, grey; downloads 8 MiB once",
        published.write_usps,
        "USPS, J. Hull, IEEE PAMI 16(5), 1994, as LIBSVM's data sets have it",
        "not stated; for research and teaching",
    ),
    "cifar10": Samples(
        "60,000 photographs of ten things, 32 x 32 pixels; downloads 162 MiB once",
        published.write_cifar10,
        "CIFAR-10, A. Krizhevsky, https://www.cs.toronto.edu/~kriz/cifar.html, 2009",
        "not stated; for research and teaching",
    ),
    "cats-dogs": Samples(
        "25,000 photographs of cats and dogs; downloads 787 MiB once",
        published.write_cats_dogs,
        "Asirra, J. Elson et al., Microsoft Research and Petfinder.com, 2007",
        "Microsoft Research; for research and teaching",
    ),
    "pneumonia": Samples(
        "5,856 chest X-rays of children, 28 x 28 pixels, grey; downloads 4 MiB once",
        published.write_pneumonia,
        "PneumoniaMNIST of MedMNIST, doi:10.5281/zenodo.10519652; after D. Kermany et al., 2018",
        "CC BY 4.0",
    ),
}
"""Every set by its name."""


def write_samples(
    name: str, folder: str | os.PathLike[str], *, seed: int = 0, offline: bool = False
) -> dict[str, Any]:
    """Write a set of sample images as `train|val[|test]/<class>/…`.

    Args:
        name: One of `SAMPLES`, such as "digits" or "mnist".
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
