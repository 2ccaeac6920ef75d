"""`python -m benchmarks.quality BACKBONE`: how good a backbone's features are.

    python -m benchmarks.quality                          # graft-small, about 20 minutes
    python -m benchmarks.quality --quick                  # 1,500 flowers and one seed
    python -m benchmarks.quality runs/candidate --quick   # a folder that Graft wrote: run or model
    python -m benchmarks.quality runs/candidate --quick --no-baselines --no-few --task flowers
    python -m benchmarks.quality squeezenet1_1 --weights FILE --image-size 64

with `OMP_NUM_THREADS=1` where others work on the machine. Scores are told on stderr as they come;
the table goes to stdout, and with `--json FILE` everything into a file. `--no-baselines` leaves out
pixels and HOG, which are the same for every backbone; `--no-few` the training on few digits.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.machine import describe_machine
from benchmarks.place import CANDIDATE, HERE
from benchmarks.quality.candidate import Candidate
from benchmarks.quality.measure import Scope, measure
from benchmarks.quality.score import Score
from benchmarks.quality.table import render
from benchmarks.quality.tasks import TASKS
from benchmarks.table import write_into

MARKERS = "<!-- quality: begin -->", "<!-- quality: end -->"


def main(
    backbone: Annotated[
        str, typer.Argument(help="A name, or a folder that Graft wrote")
    ] = CANDIDATE,
    quick: Annotated[bool, typer.Option("--quick", help="1,500 flowers, one seed")] = False,
    task: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(TASKS)}; may be given again"),
    ] = None,
    baselines: Annotated[bool, typer.Option(help="Measure pixels and HOG")] = True,
    few: Annotated[bool, typer.Option(help="Measure training on few digits")] = True,
    weights: Annotated[Path | None, typer.Option(help="Local weights")] = None,
    image_size: Annotated[int | None, typer.Option(help="Side in pixels")] = None,
    out: Annotated[Path | None, typer.Option("--json", help="Keep the scores")] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Put the table into benchmarks/README.md")
    ] = False,
) -> None:
    """Judge a backbone by linear probes of its features and by training on few images."""
    unknown = set(task or ()) - set(TASKS)
    if unknown:
        raise typer.BadParameter(f"there is no task {', '.join(unknown)}")
    if quick and write:
        raise typer.BadParameter("--quick compares recipes; --write is for the whole")
    scope = replace(
        Scope.quick() if quick else Scope(),
        tasks=tuple(name for name in TASKS if not task or name in task),
        baselines=baselines,
        few=few,
    )
    candidate = Candidate(backbone, weights, image_size)
    os.environ["GRAFT_OFFLINE"] = "1"
    side = candidate.on_meta().preprocess.height
    _say(f"{candidate.label} at {side} pixels")
    scores: list[Score] = []
    for score in measure(candidate, scope, _say):
        scores.append(score)
        _say(f"{score.task}: {score.method}: {score}, {score.seconds:.0f} s")
        if out is not None:
            record = {
                "backbone": candidate.label,
                "image_size": side,
                "quick": quick,
                "machine": describe_machine(),
                "scores": [each.to_dict() for each in scores],
            }
            out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    table = f"{candidate.label} at {side} pixels:\n\n{render(scores)}"
    print(table)
    if write:
        write_into(HERE / "README.md", table, MARKERS)


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    typer.run(main)
