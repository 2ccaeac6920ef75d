"""`graft samples NAME DIR`."""

from __future__ import annotations

from typing import Annotated

import typer

from graft.cli.failing import err, print_json

NAMES = "digits, digits-m, hymenoptera, mnist, usps, cifar10, cats-dogs or pneumonia"


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help=NAMES)],
    directory: Annotated[
        str, typer.Argument(metavar="DIR", help="Where to: a new or an empty folder")
    ],
    *,
    seed: Annotated[int, typer.Option(help="Of the patches of digits-m", min=0)] = 0,
    offline: Annotated[bool, typer.Option("--offline", help="Ask nothing of the network")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document")] = False,
) -> None:
    """The digits come from scikit-learn, offline; all others are downloaded once, and checked."""
    from graft.report.tables import print_samples
    from graft.samples import write_samples

    written = write_samples(name, directory, seed=seed, offline=offline)
    if json:
        print_json(written)
    else:
        print_samples(written, err())
