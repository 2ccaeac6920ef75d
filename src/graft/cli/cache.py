"""`graft cache ls|clear`."""

from __future__ import annotations

from typing import Annotated

import typer

from graft.cli.failing import err, print_json


def command(
    action: Annotated[str, typer.Argument(metavar="ls|clear", help="Show it, or empty it")],
    *,
    cache: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Folder of the cache, if not GRAFT_CACHE or your own"),
    ] = None,
    older_than: Annotated[
        float | None,
        typer.Option(metavar="DAYS", help="Clear only what was not used for so many days"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document")] = False,
) -> None:
    """It keeps what frozen layers made of images. Downloads and files of others always stay."""
    from graft.errors import RecipeError
    from graft.report.tables import print_cache, print_cleared
    from graft.workflows.cache import clear_cache, list_cache

    if action not in ("ls", "clear"):
        raise RecipeError(f"'{action}' is not known.", "Write ls or clear.")
    if action == "ls" and older_than is not None:
        raise RecipeError("--older-than belongs to clear.", "Leave it out.")
    found = list_cache(cache) if action == "ls" else clear_cache(cache, older_than)
    if json:
        print_json(found)
    elif action == "ls":
        print_cache(found, err())
    else:
        print_cleared(found, err())
