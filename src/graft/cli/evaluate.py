"""`graft evaluate MODEL DIR`."""

from __future__ import annotations

from typing import Annotated

import typer

from graft.cli.failing import err, print_json, say


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Run folder or model folder")],
    directory: Annotated[
        str, typer.Argument(metavar="DIR", help="Folder or CSV of labelled images")
    ],
    *,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="train|val|test",
            autocompletion=lambda: ("train", "val", "test"),
            help=r"\[default: test, else val, else everything]",
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Threads that decode", min=1)] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document")] = False,
) -> None:
    """Classes and labels are matched by name; the score comes with a 95 % interval."""
    from graft.host import keep_freed_memory
    from graft.report.summary import print_metrics
    from graft.report.text import count, score_text
    from graft.workflows.evaluate import evaluate

    keep_freed_memory()  # in this process: a forward pass takes 1.3 times as long otherwise
    found = evaluate(model, directory, split=split, workers=workers)
    if json:
        print_json(found)
        return
    console = err()
    for image in found["set_aside"]:
        say(f"Set aside: {image['path']}: {image['reason']}")
    print_metrics(found, console)
    if found["with_leaks"]:
        metric = found["metric"]
        say(
            f"Left out: {count(found['excluded'], 'test image')} that training or validation has "
            f"as well; with them it would be {score_text(metric, found['with_leaks'][metric])}."
        )
