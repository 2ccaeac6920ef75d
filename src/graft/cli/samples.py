"""`graft samples NAME DIR`.

Each is a folder that every other command reads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from graft.cli.failing import err, print_json
from graft.samples import SAMPLES


def _writes(name: str) -> Callable[..., None]:
    """Return the command that writes one set."""

    def command(
        directory: Annotated[
            str, typer.Argument(metavar="DIR", help="Where to: a new or an empty folder")
        ],
        *,
        seed: Annotated[int, typer.Option(help="Of what is random in the set", min=0)] = 0,
        offline: Annotated[
            bool, typer.Option("--offline", help="Ask nothing of the network")
        ] = False,
        json: Annotated[bool, typer.Option("--json", help="Print one JSON document")] = False,
    ) -> None:
        from graft.report.tables import print_samples
        from graft.samples import write_samples

        written = write_samples(name, directory, seed=seed, offline=offline)
        if json:
            print_json(written)
        else:
            print_samples(written, err())

    known = SAMPLES[name]
    summary = known.summary[0].upper() + known.summary[1:]
    command.__doc__ = f"{summary}.\n\nSource: {known.source}. Licence: {known.licence}."
    return command


COMMANDS = {name: _writes(name) for name in SAMPLES}
