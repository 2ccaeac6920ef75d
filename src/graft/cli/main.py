"""The command `graft`: parses, calls a workflow, shows. Each verb loads only when it is called."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import graft
from graft.aliases import COMMANDS
from graft.cli.failing import failing_kindly
from graft.errors import nearest

VERBS: Mapping[str, str] = {
    "demo": "Show in a minute what transfer learning buys, on images made here.",
    "fit": "Adapt a pre-trained network to a folder of images.",
    "predict": "Say what is on images.",
    "evaluate": "Measure a model on labelled images.",
    "pretrain": "Train a backbone without labels, or on images made from formulas.",
    "samples": "Write sample images: digits, ants and bees, MNIST, CIFAR-10 and others.",
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
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in COMMANDS:
        print(f"{given[0]} is Graft's {COMMANDS[given[0]]}.", file=sys.stderr)
        given[0] = COMMANDS[given[0]]
    words = (*given, *os.environ.get("COMP_WORDS", "").split())  # a shell asks what may follow
    words = (*words, *os.environ.get("_TYPER_COMPLETE_ARGS", "").split())
    build_app(next((word for word in words if word in VERBS), None))(given, prog_name="graft")


def build_app(verb: str | None) -> typer.Typer:
    """Build the command line with one verb loaded; the others stand there with their help.

    Args:
        verb: A key of `VERBS`, or None to list them all.
    """
    app = typer.Typer(
        help="Transfer learning for people who have a folder of images and a problem.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    app.callback()(_about)
    for name, summary in VERBS.items():
        if name == verb:
            _add(app, name, summary)
        else:
            app.command(name, help=summary)(_listed)
    return app


def _add(app: typer.Typer, name: str, summary: str) -> None:
    """Add a verb: its `command`, or where it has several `COMMANDS`, a group of these."""
    module = importlib.import_module(f"graft.cli.{name}")
    commands = getattr(module, "COMMANDS", None)
    if commands is None:
        text = f"{summary}\n\n{module.command.__doc__ or ''}"
        app.command(name, help=text)(failing_kindly(module.command))
        return
    text = "\n".join([summary, *(module.__doc__ or "").splitlines()[1:]])
    group = typer.Typer(cls=Group, help=text, no_args_is_help=True, rich_markup_mode="rich")
    for part, command in commands.items():
        group.command(part, help=command.__doc__)(failing_kindly(command))
    app.add_typer(group, name=name)


class Group(TyperGroup):
    """A verb of several commands, which names the nearest where one is not known."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command by its name."""
        found = super().get_command(ctx, cmd_name)
        if found is None and not ctx.resilient_parsing:
            raise typer.BadParameter(
                f"'{cmd_name}' is not known. Choose one of {nearest(cmd_name, self.commands)}."
            )
        return found


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
