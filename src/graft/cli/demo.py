"""`graft demo`."""

from __future__ import annotations

from typing import Annotated

import typer

from graft.cli.failing import err, print_json


def command(
    *,
    out: Annotated[
        str | None, typer.Option(help="Folder, new or empty \\[default: graft-demo]")
    ] = None,
    photos: Annotated[
        bool,
        typer.Option("--photos", help="Ants and bees with ResNet-18; downloads both once"),
    ] = False,
    seed: Annotated[int, typer.Option(help="Of everything that is random", min=0)] = 0,
    cache: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Folder for what frozen layers made of images, or off"),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask nothing of the network")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document")] = False,
) -> None:
    """Half a minute, without a network: handwritten digits and the backbone that ships along."""
    from graft.cli.progress import Board

    console = err()
    with Board(console) as board:
        from graft.workflows.demo import demo

        document = demo(out, photos=photos, seed=seed, cache=cache, offline=offline, callback=board)
    if json:
        print_json(document)
    from graft.report.demo_table import print_demo

    print_demo(document, console)
