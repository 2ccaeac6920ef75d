"""`graft pretrain [DIR]`."""

from __future__ import annotations

import inspect
import os
import shlex
from typing import Annotated, Any

import typer

from graft.cli.failing import err, print_json, say
from graft.cli.flags import recipe_flags
from graft.pretraining.recipe import PretrainRecipe


def _pretrain(
    directory: Annotated[
        str | None,
        typer.Argument(
            metavar="DIR",
            help="Folder of images, labelled or not; without it images are generated",
            show_default=False,
        ),
    ] = None,
    *,
    out: Annotated[
        str | None, typer.Option(help="Run folder, new or empty \\[default: below runs/]")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --out after its last epoch")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document to standard output")
    ] = False,
    config: Annotated[
        str | None, typer.Option(help="Recipe in YAML, such as RUN/recipe.yaml, or graft-small")
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Any option of the recipe"),
    ] = None,
    **flags: Any,
) -> None:
    """The run folder is a backbone: `graft fit DIR --backbone RUN`."""
    from graft.cli.progress import PretrainBars
    from graft.workflows.pretrain import pretrain

    console = err()
    given = {"config": config, "sets": sets or [], "environ": os.environ, **flags}
    with PretrainBars(console) as bars:
        trained = pretrain(directory, out=out, resume=resume, callbacks=[bars], **given)
    if json:
        print_json(trained.result)
    result = trained.result
    console.print()
    say(result["collapse"])
    console.print()
    say(f"backbone  {result['backbone']}, {result['method']}")
    say(f"time      {result['seconds']['total']:.0f} s")
    say(f"next      graft fit DIR --backbone {shlex.quote(str(trained.run))}")


def command(**options: Any) -> None:
    """The run folder is a backbone: `graft fit DIR --backbone RUN`."""
    _pretrain(**options)


_parameters = inspect.signature(_pretrain, eval_str=True).parameters.values()
_own = [parameter for parameter in _parameters if parameter.name != "flags"]
command.__signature__ = inspect.Signature([*_own, *recipe_flags(PretrainRecipe)])  # type: ignore[attr-defined]
