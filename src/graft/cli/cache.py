"""`graft cache ls|clear`.

It keeps what frozen layers made of images. Downloads and files of others always stay.
"""

from __future__ import annotations

from typing import Annotated

import typer

from graft.cli.failing import err, print_json

Place = Annotated[
    str | None,
    typer.Option(metavar="DIR", help="Folder of the cache, if not GRAFT_CACHE or your own"),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document")]


def ls(*, cache: Place = None, json: Json = False) -> None:
    """Show what is kept, of which network, how large, and when it was last used."""
    from graft.report.tables import print_cache
    from graft.workflows.cache import list_cache

    found = list_cache(cache)
    if json:
        print_json(found)
    else:
        print_cache(found, err())


def clear(
    *,
    cache: Place = None,
    older_than: Annotated[
        float | None,
        typer.Option(metavar="DAYS", help="Only what was not used for so many days"),
    ] = None,
    json: Json = False,
) -> None:
    """Remove what is kept; the next run that needs it makes it again."""
    from graft.report.tables import print_cleared
    from graft.workflows.cache import clear_cache

    found = clear_cache(cache, older_than)
    if json:
        print_json(found)
    else:
        print_cleared(found, err())


COMMANDS = {"ls": ls, "clear": clear}
