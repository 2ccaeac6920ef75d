"""What one needs to know to repeat a run, or to believe it."""

from __future__ import annotations

from typing import Any

from graft.report.record import Record
from graft.report.words import count, duration, percent


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


def solved_head(probe: dict[str, Any]) -> str | None:
    """Return how a solved head was found, or None if there is none.

    Example:
        >>> solved_head({"strength": 1e-3, "tried": 24, "folds": 5, "temperature": 1.25})
        'strength 0.001, the best of 24 in 5 folds; logits divided by 1.25'
        >>> solved_head({"strength": 10.0, "tried": 36, "folds": 5, "at_edge": True})
        'strength 10, the best of 36 in 5 folds, at the edge of what was offered'
        >>> solved_head({"strength": 1e-3, "tried": 0, "folds": 0})
        'strength 0.001, with too few images to choose by'
    """
    if "strength" not in probe:
        return None
    found = f"strength {probe['strength']:g}"
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
