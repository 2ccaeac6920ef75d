"""Reading a run folder, as far as the run got."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graft.errors import DataError
from graft.structured import parse_json

FORMAT = 1


@dataclass(frozen=True)
class Record:
    """What a run folder says about its run.

    Args:
        folder: The run folder.
        run: `run.json`.
        epochs: The lines of `metrics.jsonl`; empty if the run never got there.
        steps: The lines of `steps.jsonl`; empty for a run without gradient steps.
    """

    folder: Path
    run: dict[str, Any]
    epochs: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)

    @property
    def result(self) -> dict[str, Any]:
        """The fit document, empty for a run that did not end well."""
        return self.run.get("result") or {}

    @property
    def split(self) -> str:
        """Which images the numbers are about: "test" if they were measured, else "val"."""
        return "test" if self.run.get("test") else "val"

    @property
    def metrics(self) -> dict[str, Any]:
        """The metrics of `split`, empty if nothing was measured."""
        return self.run.get("test") or self.run.get("validation") or {}


def read_record(run_folder: str | Path) -> Record:
    """Return the record of a run that is done, running, failed or interrupted.

    Args:
        run_folder: What `graft fit --out` wrote.

    Returns:
        The record; files that the run never wrote are empty.

    Raises:
        DataError: The folder holds no readable `run.json`, or one from a newer Graft.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "run.json").write_text('{"format": 1, "state": "failed"}')
        >>> read_record(folder).run["state"]
        'failed'
    """
    folder = Path(run_folder)
    path = folder / "run.json"
    if not path.is_file():
        raise DataError(
            f"'{folder}' is not a run folder: it holds no run.json.",
            "Give the folder that `graft fit --out` wrote.",
        )
    run = _object(path.read_bytes())
    if run is None:
        raise DataError(f"'{path}' is damaged: it is not a JSON object.", "Repeat the run.")
    if run.get("format", FORMAT) != FORMAT:
        raise DataError(
            f"'{path}' has format {run['format']}; this version of Graft reads format {FORMAT}.",
            "Install the version of Graft that wrote it.",
        )
    return Record(
        folder, run, read_lines(folder / "metrics.jsonl"), read_lines(folder / "steps.jsonl")
    )


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a JSON-lines file; none if it is absent.

    A line cut short by a kill is left out.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "metrics.jsonl"
        >>> _ = path.write_text('{"epoch": 1}' + chr(10) + '{"epo')
        >>> read_lines(path)
        [{'epoch': 1}]
    """
    if not path.is_file():
        return []
    objects = (_object(line) for line in path.read_bytes().splitlines())
    return [value for value in objects if value is not None]


def _object(text: bytes) -> dict[str, Any] | None:
    """Return the JSON object in `text`, or None if there is none."""
    try:
        value = parse_json(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
