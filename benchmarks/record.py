"""Results as a file: rows that are measured one by one come together in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.finding import Finding


class MixedError(Exception):
    """Results that were not measured alike would stand in one table."""


def read(path: Path) -> dict[str, Any]:
    """Return the record in a file: `machine`, `rounds` and `findings`."""
    record = json.loads(path.read_text(encoding="utf-8"))
    return {**record, "findings": [Finding.from_dict(one) for one in record["findings"]]}


def write(path: Path, findings: Sequence[Finding], machine: Mapping[str, str], rounds: int) -> None:
    """Write a record."""
    record = {
        "machine": dict(machine),
        "rounds": rounds,
        "findings": [finding.to_dict() for finding in findings],
    }
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def others(
    path: Path, names: Sequence[str], machine: Mapping[str, str], rounds: int
) -> list[Finding]:
    """Return the findings of other rows in a file, to be kept beside new ones.

    Args:
        path: May be missing.
        names: The rows that are about to be measured.
        machine: What they are measured on.
        rounds: In how many rounds.

    Raises:
        MixedError: The file's were measured with other versions, elsewhere, or in other rounds.
    """
    if not path.exists():
        return []
    old = read(path)
    if (old["machine"], old["rounds"]) != (dict(machine), rounds):
        raise MixedError(
            f"{path.name} holds results of other versions, another machine or {old['rounds']} "
            "rounds, which do not mix with new ones: name another file, or measure every row"
        )
    return [finding for finding in old["findings"] if finding.row not in names]
