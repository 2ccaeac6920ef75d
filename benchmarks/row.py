"""A row: one comparison, how long it takes, and how it is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.finding import Finding
from benchmarks.place import Place
from benchmarks.process import FailedError


@dataclass(frozen=True)
class Row:
    """A named comparison.

    Args:
        name: As `--only` takes it.
        about: What is compared, in a few words.
        minutes: Roughly, on two cores, with three rounds.
        findings: Measures at a place; every finding carries the row's name.
    """

    name: str
    about: str
    minutes: float
    findings: Callable[[Place], list[Finding]]

    def measure(self, place: Place) -> list[Finding]:
        """Return what was found, or in words why nothing was."""
        try:
            return self.findings(place)
        except FailedError as failure:
            return [Finding(self.name, "", self.about, None, note=f"failed, {failure}")]
