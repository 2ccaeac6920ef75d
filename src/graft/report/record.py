"""Reading a run folder, and what one needs to know to repeat the run or to believe it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graft.errors import DataError
from graft.report.text import count, duration, percent, trainable
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


def facts(record: Record) -> list[tuple[str, str]]:
    """Return the facts of a run as names and words; what is not known is left out.

    Args:
        record: What the run folder holds.

    Example:
        >>> from pathlib import Path
        >>> facts(Record(Path("R"), {"seed": 0, "audits": [{"phase": "head", "unchanged": True,
        ...                                                 "frozen": ["stem"]}]}))
        [('seed', '0'), ('freeze audit', 'head: 1 frozen stage unchanged')]
    """
    run, result = record.run, record.result
    known = [
        ("backbone", result.get("backbone")),
        ("strategy", result.get("strategy")),
        ("images", image_counts(result)),
        (
            "set aside",
            count(result["set_aside"], "unreadable image") if result.get("set_aside") else None,
        ),
        ("trainable", _trainable(result)),
        ("kept", result.get("kept")),
        ("kept epoch", result.get("best_epoch")),
        ("solved head", solved_head(result.get("probe") or {})),
        ("without learning", unlearned(result.get("probe") or {})),
        ("BatchNorm", result.get("batch_norm")),
        ("seed", run.get("seed")),
        ("started", run.get("started")),
        ("finished", run.get("finished")),
        ("time", time_spent(result.get("seconds") or {})),
        ("freeze audit", "; ".join(_audit(audit) for audit in run.get("audits") or ())),
        ("versions", _versions(run)),
    ]
    return [(name, str(value)) for name, value in known if value not in (None, "")]


def _trainable(result: dict[str, Any]) -> str | None:
    number = result.get("trainable_parameters")
    plan = result.get("plan") or {}
    return None if number is None else trainable(number, plan.get("parameters"))


def image_counts(result: dict[str, Any]) -> str:
    """Return how many images each split has.

    Example:
        >>> image_counts({"train_images": 244, "val_images": 153, "test_images": 0})
        '244 training, 153 validation'
    """
    splits = (("train", "training"), ("val", "validation"), ("test", "test"))
    return ", ".join(
        f"{count(result[f'{key}_images'])} {name}"
        for key, name in splits
        if result.get(f"{key}_images")
    )


def time_spent(seconds: dict[str, Any]) -> str | None:
    """Return the time of a run and its parts, or None if it was not taken.

    Example:
        >>> time_spent({"total": 41.3, "data": 1.2, "train": 40.1})
        '41.3 s (data 1.2 s, train 40.1 s)'
    """
    if "total" not in seconds:
        return None
    parts = ", ".join(
        f"{name} {duration(value)}" for name, value in seconds.items() if name != "total" and value
    )
    return duration(seconds["total"]) + (f" ({parts})" if parts else "")


def solved_head(probe: dict[str, Any]) -> str | None:
    """Return how a solved head was found, or None if there is none.

    Example:
        >>> solved_head({"C": 1e-3, "tried": 24, "folds": 5, "temperature": 1.25})
        'C 0.001, the best of 24 in 5 folds; logits divided by 1.25'
        >>> solved_head({"C": 10.0, "tried": 36, "folds": 5, "at_edge": True})
        'C 10, the best of 36 in 5 folds, at the edge of what was offered'
        >>> solved_head({"C": 1e-3, "tried": 0, "folds": 0})
        'C 0.001, with too few images to choose by'
    """
    if "C" not in probe:
        return None
    found = f"C {probe['C']:g}"
    if not probe.get("folds"):
        return f"{found}, with too few images to choose by"
    found += f", the best of {count(probe.get('tried') or 0)} in {count(probe['folds'])} folds"
    if probe.get("at_edge"):
        found += ", at the edge of what was offered"
    heat = probe.get("temperature") or 1
    return found if heat == 1 else f"{found}; logits divided by {heat:.3g}"


def unlearned(probe: dict[str, Any]) -> str | None:
    """Return how right one is on the solved head's features without learning, if it was measured.

    Example:
        >>> unlearned({"prototypes": 0.9542, "knn": None})
        'nearest class mean 95.4%'
    """
    ways = (("nearest class mean", "prototypes"), ("nearest neighbours", "knn"))
    known = [(name, probe[key]) for name, key in ways if probe.get(key) is not None]
    return ", ".join(f"{name} {percent(value)}" for name, value in known) or None


def _audit(audit: dict[str, Any]) -> str:
    frozen = audit.get("frozen") or []
    if not frozen:
        return f"{audit.get('phase')}: nothing was frozen"
    verdict = "unchanged" if audit.get("unchanged") else "CHANGED"
    return f"{audit.get('phase')}: {count(len(frozen), 'frozen stage')} {verdict}"


def _versions(run: dict[str, Any]) -> str:
    versions = {"graft": run.get("graft"), **(run.get("versions") or {})}
    return ", ".join(f"{name} {version}" for name, version in versions.items() if version)
