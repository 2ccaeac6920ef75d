"""The command `graft`: parses, calls a workflow, shows. Each verb loads only when it is called."""

from __future__ import annotations

import importlib
import inspect
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Optional

import typer

import graft
from graft.cli.failing import failing_kindly
from graft.config import Recipe, Section, options

_PANELS = {
    "data": "Images",
    "scenes": "Generated images",
    "backbone": "Backbone",
    "method": "Method",
    "head": "Head",
    "strategy": "Strategy",
    "training": "Training",
}
_ELSEWHERE = {"path", "out", "objects"}
"""Options that a verb declares itself, or that only Python can give."""


def recipe_flags(recipe: type[Section] = Recipe) -> Iterator[inspect.Parameter]:
    """Yield a keyword parameter for every option of a verb's recipe.

    Values stay text; the recipe gives them their types, so that a wrong one is reported alike
    wherever it comes from.
    """
    for name, path, field in options(recipe):
        if name in _ELSEWHERE:
            continue
        flag = f"--{name.replace('_', '-')}"
        kind: Any = str
        if field.annotation is bool:
            flag, kind = f"{flag}/--no-{name.replace('_', '-')}", bool
        help_text = field.description or ""
        if field.default is not None and field.default_factory is None:
            help_text += f" [default: {field.default}]"
        declared = typer.Option(
            flag,
            help=help_text.replace("[", r"\["),
            show_default=False,
            metavar=None if kind is bool else "VALUE",
            rich_help_panel=_PANELS.get(path.partition(".")[0], "Run"),
        )
        yield inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[Optional[kind], declared],  # noqa: UP045 typer reads it at run time
        )


VERBS: Mapping[str, str] = {
    "demo": "Show in a minute what transfer learning buys, on images made here.",
    "fit": "Adapt a pre-trained network to a folder of images.",
    "predict": "Say what is on images.",
    "evaluate": "Measure a model on labelled images.",
    "pretrain": "Train a backbone without labels, or on images made from formulas.",
    "samples": "Write sample images: digits, digits on photographs, ants and bees.",
    "cache": "Show or clear what Graft keeps of frozen layers.",
    "zoo": "Show, filter and describe pre-trained models.",
}
"""Every verb with its line of help; its code is `command` in `graft.cli.<verb>`."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the code of the design.

    Args:
        arguments: What follows `graft`; None takes the process's own.
    """
    # What Pillow warns of is decided by `data.decode` and said as an image's reason.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    given = sys.argv[1:] if arguments is None else arguments
    build_app(next((word for word in given if word in VERBS), None))(given, prog_name="graft")


def build_app(verb: str | None) -> typer.Typer:
    """Build the command line with one verb loaded; the others stand there with their help.

    Args:
        verb: A key of `VERBS`, or None to list them all.
    """
    app = typer.Typer(
        help="Transfer learning for people who have a folder of images and a problem.",
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    app.callback()(_about)
    for name, summary in VERBS.items():
        if name == verb:
            command = importlib.import_module(f"graft.cli.{name}").command
            app.command(name, help=f"{summary}\n\n{command.__doc__ or ''}")(failing_kindly(command))
        else:
            app.command(name, help=summary)(_listed)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"graft {graft.__version__}")
        raise typer.Exit


def _about(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version),
    ] = False,
) -> None:
    """Take the options that stand before a verb."""


def _listed() -> None:
    """Stand in for a verb that was not called."""
