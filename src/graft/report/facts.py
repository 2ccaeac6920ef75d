"""What one needs to know to repeat a run, or to believe it."""

from __future__ import annotations

from typing import Any

from graft.report.record import Record
from graft.report.words import count, duration


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
        ("trainable parameters", _counted(result.get("trainable_parameters"))),
        ("best epoch", result.get("best_epoch")),
        ("BatchNorm", result.get("batch_norm")),
        ("seed", run.get("seed")),
        ("started", run.get("started")),
        ("finished", run.get("finished")),
        ("time", time_spent(result.get("seconds") or {})),
        ("freeze audit", "; ".join(_audit(audit) for audit in run.get("audits") or ())),
        ("versions", _versions(run)),
    ]
    return [(name, str(value)) for name, value in known if value not in (None, "")]


def _counted(value: Any) -> str | None:
    return None if value is None else count(value)


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


def _audit(audit: dict[str, Any]) -> str:
    frozen = audit.get("frozen") or []
    if not frozen:
        return f"{audit.get('phase')}: nothing was frozen"
    verdict = "unchanged" if audit.get("unchanged") else "CHANGED"
    return f"{audit.get('phase')}: {count(len(frozen), 'frozen stage')} {verdict}"


def _versions(run: dict[str, Any]) -> str:
    versions = {"graft": run.get("graft"), **(run.get("versions") or {})}
    return ", ".join(f"{name} {version}" for name, version in versions.items() if version)
