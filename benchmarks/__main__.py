"""`python -m benchmarks`: measure rows, print the table, write it where it belongs."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.finding import Finding
from benchmarks.machine import describe_machine
from benchmarks.place import CANDIDATE, HERE, MissingError, Place, prepare
from benchmarks.process import FailedError
from benchmarks.record import MixedError, others, read, write
from benchmarks.rows import ROWS
from benchmarks.table import render, write_into

README = HERE / "README.md"
PEERS = ("tutorial", "fastai_fine_tune", "timm_recipe", "sklearn_probe")


def main(
    only: Annotated[list[str] | None, typer.Option(help="A row; may be given again")] = None,
    repeat: Annotated[int, typer.Option(min=1, help="Rounds of which the median counts")] = 3,
    quick: Annotated[
        bool, typer.Option("--quick", help="A few images, one round: does it work?")
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Measure what is otherwise extrapolated: hours")
    ] = False,
    backbone: Annotated[
        str, typer.Option(help="For the row graft-small: a name, or a folder that Graft wrote")
    ] = CANDIDATE,
    json: Annotated[Path | None, typer.Option(help="Keep the results in a file")] = None,
    stored: Annotated[
        Path | None, typer.Option("--from", help="Take results from a file, measure nothing")
    ] = None,
    write_readme: Annotated[
        bool, typer.Option("--write", help="Put the table into benchmarks/README.md")
    ] = False,
) -> None:
    """Compare Graft with its peers and with what the machine allows."""
    if stored is not None:
        record = read(stored)
        findings, machine, rounds = record["findings"], record["machine"], record["rounds"]
    else:
        if quick and write_readme:
            raise typer.BadParameter("--quick shows that it works; its numbers mean nothing")
        rounds, machine, names = 1 if quick else repeat, describe_machine(), _chosen(only)
        try:
            if quick:
                machine["machine"] += ", a quick run whose numbers mean nothing"
            kept = others(json, names, machine, rounds) if json and only else []
            with prepare(repeat=repeat, quick=quick, full=full, candidate=backbone) as place:
                findings = _measure(place, names, json, kept, machine)
        except MixedError as mixed:
            raise typer.BadParameter(str(mixed)) from mixed
        except MissingError as missing:
            _say(str(missing))
            return
    table = render(findings, machine, rounds)
    print(table)
    if write_readme:
        write_into(README, table)


def _chosen(only: list[str] | None) -> list[str]:
    names = [row.name for row in ROWS]
    for name in only or ():
        if name not in names:
            raise typer.BadParameter(f"there is no row '{name}'; there are {', '.join(names)}")
    return [name for name in names if not only or name in only]


def _measure(
    place: Place,
    names: list[str],
    json: Path | None,
    kept: list[Finding],
    machine: dict[str, str],
) -> list[Finding]:
    """Measure rows; after each, what is known so far is in the file.

    Args:
        place: Where.
        names: Of the rows.
        json: The file.
        kept: Findings of other rows that stay in the file.
        machine: What is measured on.
    """
    rows, order = [row for row in ROWS if row.name in names], [row.name for row in ROWS]
    minutes = sum(row.expected(place) for row in rows)
    _say(f"{len(rows)} rows, about {minutes:.0f} minutes on two quiet cores.")
    _warm_up(place)
    measured: list[Finding] = []
    findings = measured
    for row in rows:
        _say(f"{row.name}: {row.about}, about {row.expected(place):.1f} minutes ...")
        new = row.measure(place)
        for finding in new:
            _say(f"  {finding.measure}: {finding.value} {finding.unit}, {finding.verdict}")
        measured += new
        if json is not None:
            findings = [*kept, *measured]
            findings.sort(key=lambda finding: order.index(finding.row))
            write(json, findings, machine, place.repeat)
    return findings


def _warm_up(place: Place) -> None:
    """Let every contestant compile and read its imports once, which only the first one pays."""
    for name in PEERS:
        with suppress(FailedError):
            place.peer(name, "--help")
    place.command("--help")
    place.inside("model_alone", "--image-size", "32")


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    typer.run(main)
