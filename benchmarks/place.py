"""Where a benchmark happens: images, weights, scratch folders, and how contestants are started."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.process import Finished, run

HERE = Path(__file__).parent
SHARED = HERE.parent.parent / "shared"
BACKBONE = "mobilenet_v2"
CANDIDATE = "graft-small"
QUICK_IMAGES = 12
"""Images of each class and split in a quick run, which only shows that everything works."""


class MissingError(Exception):
    """The real images or weights are not here."""


@dataclass(frozen=True)
class Place:
    """Everything that a row needs.

    Args:
        data: `train|val/<class>/…`, the same for every contestant.
        weights: Published weights of `BACKBONE`, the same for every contestant.
        scratch: A folder that is deleted afterwards.
        repeat: Rounds.
        quick: Tiny, to see that it works.
        full: Measure what is otherwise extrapolated.
        candidate: The backbone that the row `graft-small` is about: a name, or a folder that Graft
            wrote.
    """

    data: Path
    weights: Path
    scratch: Path
    repeat: int = 3
    quick: bool = False
    full: bool = False
    candidate: str = CANDIDATE
    _numbers: Iterator[int] = field(default_factory=itertools.count, repr=False)

    @property
    def long_rounds(self) -> int:
        """Rounds of what takes long: one, unless --full asks for all."""
        return self.repeat if self.full else 1

    def new_folder(self, name: str) -> Path:
        """Return a path in the scratch folder at which there is nothing yet."""
        return self.scratch / f"{name}-{next(self._numbers)}"

    def graft(
        self,
        *flags: str,
        cache: Path | None = None,
        data: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> Finished:
        """Run `graft fit` as a user does.

        Args:
            flags: Besides the images, the backbone and its weights.
            cache: Graft's cache folder; None takes a fresh, empty one.
            data: Images instead of the place's own.
            settings: Further environment variables.
        """
        command = [sys.executable, "-m", "graft", "fit", str(data or self.data), "--json"]
        command += ["--backbone", BACKBONE, "--weights", str(self.weights)]
        out = self.new_folder("run")
        return self._run([*command, "--out", str(out), *flags], cache, settings)

    def command(self, *arguments: str) -> Finished:
        """Run `graft` with other arguments."""
        return self._run([sys.executable, "-m", "graft", *arguments], None)

    def peer(self, name: str, *flags: str) -> Finished:
        """Run a script of `peers/`."""
        return self._script(HERE / "peers" / f"{name}.py", flags, None)

    def inside(self, name: str, *flags: str, cache: Path | None = None) -> Finished:
        """Run a script of `inside/`, which measures parts of Graft through its public names."""
        flags = (*flags, "--scratch", str(self.new_folder(name)))
        return self._script(HERE / "inside" / f"{name}.py", flags, cache)

    def _script(self, script: Path, flags: tuple[str, ...], cache: Path | None) -> Finished:
        where = ["--data", str(self.data), "--weights", str(self.weights)]
        return self._run([sys.executable, str(script), *where, *flags], cache)

    def _run(
        self, command: list[str], cache: Path | None, settings: Mapping[str, str] | None = None
    ) -> Finished:
        kept = cache or self.new_folder("cache")
        variables = {**environment(os.environ, self.scratch, kept), **(settings or {})}
        return run(command, variables, self.scratch)


def environment(given: Mapping[str, str], scratch: Path, cache: Path) -> dict[str, str]:
    """Return the variables of every contestant: default threads, no GPU, own caches.

    Example:
        >>> environment({"OMP_NUM_THREADS": "1"}, Path("s"), Path("c"))["GRAFT_CACHE"]
        'c'
    """
    kept = {
        name: value
        for name, value in given.items()
        if not name.startswith(("GRAFT_", "OMP_", "GOMP_", "MKL_")) and name != "PYTHONWARNINGS"
    }
    return {
        **kept,
        "GRAFT_CACHE": str(cache),
        "FASTAI_HOME": str(scratch / "fastai"),
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }


@contextmanager
def prepare(*, repeat: int, quick: bool, full: bool, candidate: str = CANDIDATE) -> Iterator[Place]:
    """Open a place, with every image read once, so that the first contestant has no colder disk.

    Raises:
        MissingError: The folder `shared` with images and weights is not beside the repository.
    """
    data, weights = SHARED / "data" / "hymenoptera", SHARED / "weights" / f"{BACKBONE}.safetensors"
    for needed in (data, weights):
        if not needed.exists():
            raise MissingError(
                f"The benchmarks need '{needed.relative_to(SHARED.parent)}' beside the repository, "
                "and it is not there: nothing was measured."
            )
    with TemporaryDirectory(prefix="graft-bench-") as name:
        scratch = Path(name)
        if quick:
            data = _few(data, scratch / "few")
        for path in data.rglob("*.*"):
            path.read_bytes()
        yield Place(data, weights, scratch, 1 if quick else repeat, quick, full, candidate)


def _few(data: Path, target: Path) -> Path:
    """Copy the first images of each class of each split."""
    for split in ("train", "val"):
        for folder in sorted((data / split).iterdir()):
            chosen = target / split / folder.name
            chosen.mkdir(parents=True)
            for path in sorted(folder.glob("*.jpg"))[:QUICK_IMAGES]:
                shutil.copyfile(path, chosen / path.name)
    return target
