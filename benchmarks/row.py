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
        minutes: Of one round, roughly, on two cores.
        findings: Measures at a place; every finding carries the row's name.
        once: It takes long, so that there is one round unless `--full` asks for all.
    """

    name: str
    about: str
    minutes: float
    findings: Callable[[Place], list[Finding]]
    once: bool = False

    def expected(self, place: Place) -> float:
        """Return about how many minutes it takes at a place; more with `--full`, less if quick."""
        return self.minutes * (place.long_rounds if self.once else place.repeat)

    def measure(self, place: Place) -> list[Finding]:
        """Return what was found, or in words why nothing was."""
        try:
            return self.findings(place)
        except FailedError as failure:
            return [Finding(self.name, "", self.about, None, note=f"failed, {failure}")]
