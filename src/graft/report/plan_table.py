"""A plan as a grid: phases across, the network downwards from head to stem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graft.report.words import ABSENT, count, rate

FROZEN = "frozen"
SOLVED = "solved"


@dataclass(frozen=True)
class PlanRow:
    """One line of the grid: a part of the network, or a fact about each phase.

    Args:
        name: "head", a stage, or the name of the fact.
        cells: One per phase. For a part: its learning rate, "solved" or "frozen".
        is_part: Whether the line is a part of the network.
    """

    name: str
    cells: tuple[str, ...]
    is_part: bool = False


@dataclass(frozen=True)
class PlanTable:
    """The phases' names, and the rows below them."""

    phases: tuple[str, ...]
    rows: tuple[PlanRow, ...]


def plan_table(plan: dict[str, Any]) -> PlanTable:
    """Return the grid of a plan.

    Args:
        plan: The plan document.

    Example:
        >>> phase = {"name": "head", "method": "gradient", "epochs": 5, "trains": ["head"],
        ...          "frozen": ["stem", "stage1"], "learning_rates": {"head": 0.001},
        ...          "trainable_parameters": 2562}
        >>> table = plan_table({"stages": ["stem", "stage1"], "phases": [phase]})
        >>> for row in table.rows:
        ...     print(row.name, row.cells)
        method ('gradient',)
        epochs ('5',)
        head ('1e-3',)
        stage1 ('frozen',)
        stem ('frozen',)
        trainable parameters ('2,562',)
    """
    phases: list[dict[str, Any]] = plan.get("phases") or []
    parts = ["head", *reversed(plan.get("stages") or [])]
    rows = [
        PlanRow("method", tuple(str(phase.get("method", ABSENT)) for phase in phases)),
        PlanRow("epochs", tuple(_epochs(phase) for phase in phases)),
        *(PlanRow(part, tuple(_cell(phase, part) for phase in phases), True) for part in parts),
        PlanRow(
            "trainable parameters",
            tuple(count(phase.get("trainable_parameters")) for phase in phases),
        ),
    ]
    return PlanTable(tuple(str(phase.get("name", "")) for phase in phases), tuple(rows))


def _cell(phase: dict[str, Any], part: str) -> str:
    """Return what happens to a part of the network in a phase."""
    learning_rate = (phase.get("learning_rates") or {}).get(part)
    trains = part in (phase.get("trains") or ()) or part == "head"
    if part in (phase.get("frozen") or ()) or not (trains or learning_rate):
        return FROZEN
    if phase.get("method") == "solve":
        return SOLVED
    return rate(learning_rate)


def _epochs(phase: dict[str, Any]) -> str:
    """Return how long a phase lasts."""
    if phase.get("method") == "solve":
        return ABSENT
    plateau = (phase.get("until") or {}).get("plateau")
    if plateau is None:
        return count(phase.get("epochs"))
    patience = f"plateau of {plateau.get('patience')}"
    return f"up to {phase['epochs']}, {patience}" if phase.get("epochs") else patience
