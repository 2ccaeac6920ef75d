"""The run folder: everything about one run, in files that are whole or absent."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from typing import Any

from graft.errors import DataError, RecipeError
from graft.files import (
    TEMPORARY,
    atomic_write,
    sweep,
    to_json,
    wrap_os_errors,
    writable_path,
    write_json,
)
from graft.structured import parse_json, shown

FORMAT = 1
"""Version of the run folder's format that this release writes."""

TYPES: Mapping[str, tuple[type, ...]] = {
    "state": (str,),
    "graft": (str,),
    "versions": (dict,),
    "seed": (int,),
    "started": (str,),
    "finished": (str,),
    "error": (str, dict),
    "result": (dict,),
    "validation": (dict,),
    "test": (dict,),
    "audits": (list,),
}
"""What the values of `run.json` are where they are there; verbs add keys of their own."""


def score_key(metric: str) -> str:
    """Return what a task's one score is called in documents and in `metrics.jsonl`.

    Args:
        metric: Its name, such as "accuracy" or "R2".

    Returns:
        "accuracy" for the accuracy, as in `val_accuracy`; "score" for any other.
    """
    return "accuracy" if metric == "accuracy" else "score"


@dataclass(frozen=True)
class Run:
    """A folder with everything about one run.

    Args:
        folder: Where it is. `Run.create` makes a new one and `Run.open` reads one.
    """

    folder: Path

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        *,
        seed: int,
        write: Callable[[Run], None] | None = None,
    ) -> Run:
        """Make a new run folder in the state `running`.

        A kill at any moment leaves a folder that can be used as if it were empty, or a whole start.

        Args:
            folder: New, or an existing empty folder.
            seed: The run's seed.
            write: Writes what else a run begins with: its recipe, its split.

        Raises:
            RecipeError: The folder already holds a run or other files; nothing is touched.
            ResourceError: The disk is full or the place cannot be written.
        """
        cls.refuse_taken(folder)
        run = cls(Path(folder))
        with wrap_os_errors(run.folder):
            run.folder.mkdir(parents=True, exist_ok=True)
        run._clear()
        try:
            run._begin(seed, write or (lambda run: None))
        except BaseException:
            run._clear()
            raise
        return run

    def _begin(self, seed: int, write: Callable[[Run], None]) -> None:
        """Write the first files: one that says that the start is not whole, and lastly that it is.

        Until then everything in the folder is a temporary file or a file of this start.
        """
        self.update(
            format=FORMAT,
            state="running",
            graft=version("graftlearn"),
            versions=versions(),
            seed=seed,
            started=None,
            process=this_process(),
            finished=None,
            error=None,
            result=None,
            validation=None,
            test=None,
            audits=[],
        )
        write(self)
        self.update(started=now())

    def _clear(self) -> None:
        """Remove what is left of a start that was not whole."""
        with wrap_os_errors(self.folder):
            sweep(self.folder)
            for file in (self.manifest, self.recipe, self.state_file):  # the sign of it goes last
                file.unlink(missing_ok=True)

    @classmethod
    def refuse_taken(cls, folder: str | os.PathLike[str]) -> None:
        """Raise a `RecipeError` where a run, or anything else, already is in the folder.

        What was left by a start that was killed counts as nothing.
        """
        run = cls(writable_path(folder))
        with wrap_os_errors(run.folder):
            if not run.folder.exists():
                return
            names = {path.name for path in run.folder.iterdir()} if run.folder.is_dir() else {"."}
        if run.state_file.name in names:
            if run.has_begun():
                raise RecipeError(
                    f"'{folder}' already holds a run.",
                    "Choose another --out, or continue that run with --resume.",
                )
            names -= {file.name for file in (run.state_file, run.recipe, run.manifest)}
        if not all(TEMPORARY.fullmatch(name) for name in names):
            raise RecipeError(
                f"'{folder}' already exists and is not an empty folder.",
                "Choose another --out; Graft never writes among other files.",
            )

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Run:
        """Open an existing run.

        Raises:
            DataError: There is no run, it is damaged, or a newer Graft wrote it.
        """
        run = cls(Path(folder))
        if not run.state_file.is_file():
            raise DataError(
                f"'{folder}' holds no run: it has no run.json.", "Give the --out of a `graft fit`."
            )
        state = run.state()
        given = state.get("format")
        if type(given) is not int or given != FORMAT:
            raise DataError(
                f"'{folder}' has run format {shown(given)}, but this Graft reads {FORMAT}.",
                "Update Graft: pip install --upgrade graftlearn."
                if isinstance(given, int) and given > FORMAT
                else "Repeat the run with `graft fit`.",
            )
        _refuse_other_types(run.state_file, state)
        return run

    @property
    def state_file(self) -> Path:
        """`run.json`: state, versions, seed, times, the result."""
        return self.folder / "run.json"

    @property
    def recipe(self) -> Path:
        """`recipe.yaml`: every option, resolved."""
        return self.folder / "recipe.yaml"

    @property
    def manifest(self) -> Path:
        """`split.csv`: the samples and their split."""
        return self.folder / "split.csv"

    @property
    def metrics(self) -> Path:
        """`metrics.jsonl`: a line per epoch."""
        return self.folder / "metrics.jsonl"

    @property
    def steps(self) -> Path:
        """`steps.jsonl`: a line per optimizer step, with the learning rates really used."""
        return self.folder / "steps.jsonl"

    @property
    def checkpoints(self) -> Path:
        """`checkpoints/`: what an interrupted run resumes from."""
        return self.folder / "checkpoints"

    @property
    def model(self) -> Path:
        """`model/`: what one ships."""
        return self.folder / "model"

    @property
    def predictions(self) -> Path:
        """`predictions.csv`: per image of validation and test."""
        return self.folder / "predictions.csv"

    @property
    def report(self) -> Path:
        """`report.html`: the run as one page."""
        return self.folder / "report.html"

    def state(self) -> dict[str, Any]:
        """Read `run.json`.

        Raises:
            DataError: It is not the JSON object that a run writes.
        """
        try:
            state = parse_json(self.state_file.read_bytes())
        except (OSError, ValueError) as error:
            raise DataError(
                f"'{self.state_file}' is damaged: {error}.", "Repeat the run with `graft fit`."
            ) from error
        if not isinstance(state, dict):
            raise DataError(f"'{self.state_file}' is damaged: it is not a JSON object.")
        return state

    def has_begun(self) -> bool:
        """Whether the start of the run was whole; a damaged `run.json` is that of a run."""
        try:
            return self.state().get("started", "unknown") is not None
        except DataError:
            return True

    def update(self, **changes: Any) -> None:
        """Change keys of `run.json`, atomically."""
        state = self.state() if self.state_file.exists() else {}
        write_json(self.state_file, {**state, **changes})


def _refuse_other_types(file: Path, state: Mapping[str, Any]) -> None:
    """Raise a `DataError` where a value of `run.json` is not of the type that a run writes."""
    for key, kinds in TYPES.items():
        value = state.get(key)
        if value is not None and (type(value) not in kinds or (key == "seed" and value < 0)):
            raise DataError(
                f"'{file}' is damaged: {key} = {shown(value)}.", "Repeat the run with `graft fit`."
            )


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Append one JSON line to a file.

    Raises:
        ResourceError: The disk is full.
    """
    with wrap_os_errors(path), path.open("ab") as file:
        file.write(to_json(record))


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a JSON-lines file; a last line that was cut off is left out."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            try:
                yield parse_json(line)
            except ValueError:
                return


def keep_lines(path: Path, last_step: int) -> None:
    """Drop the lines after `last_step`, which a resumed run will write again."""
    if not path.exists():
        return
    kept = [line for line in read_lines(path) if line["step"] <= last_step]
    with atomic_write(path) as temporary:
        temporary.write_bytes(b"".join(map(to_json, kept)))


def next_folder(dataset: str, backbone: str, strategy: str) -> Path:
    """Make the first free `runs/<dataset>-<backbone>-<strategy>[-N]` of the current folder.

    It is made at once, so that two processes that ask at the same time get two folders.
    """
    network = Path(backbone.rpartition(":")[2]).name
    words = "-".join([Path(dataset).resolve().stem, network, strategy])
    stem = "".join(c if c.isalnum() or c in "._-" else "_" for c in words)[:60]
    for number in count(1):
        folder = Path("runs") / (stem if number == 1 else f"{stem}-{number}")
        with wrap_os_errors(folder), contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    raise AssertionError("there is always a next number")


def this_process() -> dict[str, Any]:
    """Return what names the process that works on a run, for whoever finds it in use."""
    return {"pid": os.getpid(), "host": platform.node()}


def now() -> str:
    """Return the time in UTC as ISO 8601 with seconds."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Return the versions on which a run's numbers depend."""
    found = {"python": platform.python_version()}
    for name in ("torch", "torchvision", "scikit-learn", "pillow", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
