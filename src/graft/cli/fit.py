"""`graft fit DIR`."""

from __future__ import annotations

import inspect
import os
from typing import Annotated, Any

import typer

from graft.cli.failing import err, print_json, say
from graft.cli.flags import recipe_flags


def _fit(
    directory: Annotated[
        str | None,
        typer.Argument(
            metavar="DIR",
            help=r"train/val\[/test]/CLASS/…, CLASS/…, CLASS.0.jpg…, a CSV with path and label(s) "
            r"or value, a CSV or IDX files of pixels, or hf:NAME\[:CONFIG]\[\[:N]]",
            show_default=False,
        ),
    ] = None,
    *,
    out: Annotated[
        str | None, typer.Option(help="Run folder, new or empty \\[default: below runs/]")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --out from its checkpoint")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and stop; needs no weights")
    ] = False,
    explain_plan: Annotated[
        bool,
        typer.Option("--explain-plan", help="Say what of frozen layers is cached where, and why"),
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document to standard output")
    ] = False,
    config: Annotated[
        str | None, typer.Option(help="Recipe in YAML, such as RUN/recipe.yaml")
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Any option of the recipe"),
    ] = None,
    **flags: Any,
) -> None:
    """Every flag can come from --config, from --set and from GRAFT_<FLAG> as well."""
    from graft.errors import RecipeError
    from graft.report.summary import print_plan, print_summary
    from graft.run import Run
    from graft.workflows.fit import fit, plan_only

    console = err()
    given = {"config": config, "sets": sets or [], "environ": os.environ, **flags}
    if dry_run:
        if resume:
            raise RecipeError("--dry-run and --resume exclude each other.", "Drop one of them.")
        document = plan_only(directory, **given)
        for note in document["notes"]:
            say(note)
        if json:
            print_json(document)
        else:
            if document["choice"]:
                say(document["choice"])
            print_plan(document["plan"], console)
            for warning in document["warnings"]:
                say(f"Warning: {warning}")
        return
    from graft.cli.progress import Bars

    with Bars(console) as bars:
        fitted = fit(
            directory, out=out, resume=resume, explain=explain_plan, callbacks=[bars], **given
        )
    if json:
        print_json(fitted.result)
    state = Run.open(fitted.run).state()
    # The warnings were said before training; they are in the document and in the report as well.
    said = {**fitted.result, "warnings": []}
    print_summary(said, state["test"] or state["validation"], console)


def command(**options: Any) -> None:
    """Every flag can come from --config, from --set and from GRAFT_<FLAG> as well."""
    _fit(**options)


_own = [p for p in inspect.signature(_fit, eval_str=True).parameters.values() if p.name != "flags"]
command.__signature__ = inspect.Signature([*_own, *recipe_flags()])  # type: ignore[attr-defined]
