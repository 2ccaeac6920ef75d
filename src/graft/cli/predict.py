"""`graft predict MODEL PATH...`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from graft.cli.failing import print_json, say, somebody_reads


def command(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="Run folder or model folder; or a published network: resnet18"
        ),
    ],
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH...",
            help="Images, folders and globs; - reads paths from standard input, one a line",
        ),
    ] = None,
    *,
    top: Annotated[
        int | None,
        typer.Option(
            help=r"Most probable classes to name \[default: 5 with --json or a published network]",
            min=1,
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Weights of a published network, if not its own"),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Threads that decode", min=1)] = None,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON line per image")] = False,
) -> None:
    """Images that cannot be read are named and left out; if none can be, the exit code is 3."""
    from graft.errors import DataError, RecipeError
    from graft.host import keep_freed_memory
    from graft.report.text import visible
    from graft.tasks import Prediction
    from graft.workflows.predict import Unreadable, is_published, predict

    asked = _paths(paths or [])
    if not asked:
        raise RecipeError(
            "No images were named.", "Write `graft predict MODEL PATH...`, or - to read a list."
        )
    keep_freed_memory()  # in this process: a forward pass takes 1.3 times as long otherwise
    read, unreadable = 0, 0
    shown = top or (5 if is_published(model) else 1)
    for found in predict(model, asked, top=top or 5, workers=workers, weights=weights):
        if isinstance(found, Unreadable):
            unreadable += 1
            say(f"Set aside: {found.path}: {found.reason}")
            continue
        read += 1
        if json:
            print_json(_document(found), indent=None)
        else:
            others = found.top[1:shown] if isinstance(found, Prediction) else ()
            more = [cell for label, share in others for cell in (label, f"{share:.1%}")]
            print(*map(visible, (found.path, *found.summary, *more)), sep="\t", flush=True)
        if not somebody_reads():  # as with `| head`: nothing else comes of it
            return
    if not read:
        raise DataError(f"None of {unreadable} images could be read.", "Check the files.")


def _document(found: Any) -> dict[str, Any]:
    """Return a prediction's fields, each ranking as a list of labels with their confidence."""
    return {
        name: [{"label": label, "confidence": share} for label, share in value]
        if isinstance(value, tuple)
        else value
        for name, value in vars(found).items()
    }


def _paths(given: list[str]) -> list[str]:
    """Replace `-` by the lines of standard input."""
    found = []
    for path in given:
        if path == "-":
            found += [line.rstrip("\r\n") for line in sys.stdin if line.strip()]
        else:
            found.append(path)
    return found
