"""Findings as a Markdown table, and its place in the README."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.finding import Finding

BEGIN = "<!-- table: begin -->"
END = "<!-- table: end -->"


def render(findings: Sequence[Finding], machine: Mapping[str, str], rounds: int) -> str:
    """Return the versions, the table, and what stands behind each number.

    Args:
        findings: In the order of their rows.
        machine: As from `describe_machine`.
        rounds: Repetitions of which the medians were taken.
    """
    about = ", ".join(f"{name} {value}" for name, value in machine.items() if name != "machine")
    rounded = (
        f"Medians of {rounds} rounds, unless a note says fewer." if rounds > 1 else "One round."
    )
    lines = [
        f"{machine['machine']}; {about}. {rounded}",
        "",
        "| # | row | measure | target | measured | verdict |",
        "| --- | --- | --- | --- | ---: | --- |",
        *(_line(finding) for finding in findings),
        "",
        "Details:",
        "",
        *(_behind(finding) for finding in findings if finding.medians or finding.note),
    ]
    return "\n".join(lines)


def write_into(readme: Path, table: str, markers: tuple[str, str] = (BEGIN, END)) -> None:
    """Put a table between the marker comments of a README.

    Args:
        readme: The file.
        table: Markdown.
        markers: Comments before and after its place.

    Raises:
        ValueError: The markers are not there.
    """
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(markers[0])
    _, end, after = rest.partition(markers[1])
    if not (begin and end):
        raise ValueError(f"{readme.name} has no '{markers[0]}' … '{markers[1]}' for the table.")
    readme.write_text(f"{before}{begin}\n\n{table}\n\n{end}{after}", encoding="utf-8")


def _line(finding: Finding) -> str:
    target = finding.target
    wanted = "–" if target is None else f"{target.sense} {amount(target.value, finding.unit)}"
    measured = "–" if finding.value is None else amount(finding.value, finding.unit)
    cells = (
        finding.number, finding.row, finding.measure, wanted, measured, finding.verdict
    )  # fmt: skip
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _behind(finding: Finding) -> str:
    medians = ", ".join(f"{name} {value}" for name, value in finding.medians.items())
    told = "; ".join(part for part in (medians, finding.note) if part)
    return f"- **{finding.row}**, {finding.measure}: {told}."


def amount(value: float, unit: str) -> str:
    """Return a number with its unit, as precise as such measurements are.

    Example:
        >>> amount(25.04, "x"), amount(1.1511, "x"), amount(2.5, "s")
        ('25.0x', '1.151x', '2.50 s')
    """
    digits = 3 if abs(value) < 2 else 2 if abs(value) < 10 else 1
    text = f"{value:.{digits}f}"
    return f"{text}{unit}" if unit == "x" else f"{text} {unit}".rstrip()
