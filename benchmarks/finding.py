"""What a benchmark found: a number, its target, and the verdict."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Target:
    """What a number should be.

    Args:
        sense: "at least" or "at most".
        value: The bound, in the finding's unit.

    Example:
        >>> Target("at least", 25.0).holds(30.0)
        True
    """

    sense: Literal["at least", "at most"]
    value: float

    def holds(self, value: float) -> bool:
        """Say whether a number is on the right side of the bound."""
        return value >= self.value if self.sense == "at least" else value <= self.value


@dataclass(frozen=True)
class Finding:
    """One line of the table.

    Args:
        row: Name of the row that measured it.
        number: The target's number in the project's list, such as "1"; "" where it has none.
        measure: What is compared with what.
        value: The number; None where it could not be measured, and `note` says why.
        unit: Printed after numbers: "x", "s", "GB", "points", "%".
        target: None for what is told without a target.
        medians: The quantities behind the number, by contestant, with their units.
        note: What a reader must know to judge it, such as that it is extrapolated.
    """

    row: str
    number: str
    measure: str
    value: float | None
    unit: str = "x"
    target: Target | None = None
    medians: dict[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def verdict(self) -> str:
        """Whether the target is met; a dash where there is none."""
        if self.value is None:
            return "not measured"
        if self.target is None:
            return "–"
        return "met" if self.target.holds(self.value) else "not met"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data, the verdict included."""
        return {**asdict(self), "verdict": self.verdict}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Finding:
        """Return the finding that `to_dict` described."""
        target = data["target"] and Target(**data["target"])
        plain = {key: value for key, value in data.items() if key not in ("target", "verdict")}
        return cls(**plain, target=target)
