"""Where things are shown, and errors as a user meets them: a line or two and an exit code."""

from __future__ import annotations

import errno
import functools
import inspect
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graft.cli.process import INTERRUPTED
from graft.errors import DataError, GraftError, ResourceError
from graft.files import json_text
from graft.report.text import visible

if TYPE_CHECKING:
    from rich.console import Console


def err() -> Console:
    """Return the console for people: standard error, plain where that is no terminal."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def say(words: object) -> None:
    """Print a sentence to standard error; names in it are shown and never obeyed or read as markup.

    Every character that does not print is written as its escape: `graft.report.text.visible`.
    """
    from rich.text import Text

    err().print(Text(visible(words)), soft_wrap=True)


def print_json(document: Any, *, indent: int | None = 2) -> None:
    """Print one JSON document to standard output; `indent=None` makes it a single line."""
    print(json_text(document, indent=indent))
    sys.stdout.flush()


def somebody_reads() -> bool:
    """Whether anybody still reads standard output, as far as is known from writing to it."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return not getattr(raw, "lost", False)


DEFECT = 1

UNREACHABLE = (errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES)
"""What the system answers where a path that was given leads nowhere."""

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def failing_kindly(command: Callable[..., None]) -> Callable[..., None]:
    """Give a verb `--debug`, and turn what it raises into words and an exit code."""

    @functools.wraps(command)
    def wrapped(*, debug: bool = False, **options: Any) -> None:
        try:
            command(**options)
        except typer.Exit:
            raise
        except BaseException as error:
            if isinstance(error, SystemExit | GeneratorExit):
                raise
            if debug:
                print(*map(visible, traceback.format_exc().splitlines()), sep="\n", file=sys.stderr)
            words, code = _explain(error)
            print(words, file=sys.stderr)
            raise typer.Exit(code) from None

    parameters = list(inspect.signature(command, eval_str=True).parameters.values())
    flag = inspect.Parameter(
        "debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Debug
    )
    wrapped.__signature__ = inspect.Signature([*parameters, flag])  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: p.annotation for p in (*parameters, flag)}
    return wrapped


def _explain(error: BaseException) -> tuple[str, int]:
    """Return what to print and the exit code."""
    if isinstance(error, KeyboardInterrupt) or _follows_an_interrupt(error):
        return "Interrupted.", INTERRUPTED
    if isinstance(error, GraftError):
        lines = [f"Error: {error.problem}", *filter(None, [error.remedy])]
        return "\n".join(map(visible, lines)), error.exit_code
    if isinstance(error, MemoryError):
        return (
            "Error: The memory is full.\nUse a smaller --batch-size or --image-size.",
            ResourceError.exit_code,
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"Error: The disk is full: {visible(error)}.\nFree some space.",
            ResourceError.exit_code,
        )
    if isinstance(error, OSError) and error.errno in UNREACHABLE:
        return (
            f"Error: {visible(error.filename)} cannot be reached: {error.strerror}.\n"
            "Give a path that leads to a file or folder that you may read.",
            DataError.exit_code,
        )
    return (
        f"Error: {type(error).__name__}: {visible(error)}\n"
        "This should not have happened; --debug shows where it did.",
        DEFECT,
    )


def _follows_an_interrupt(error: BaseException) -> bool:
    """Whether code that an interrupt met, such as an import, made another error of it."""
    if isinstance(error, GraftError):
        return False
    cause = error.__cause__ or error.__context__
    return cause is not None and (
        isinstance(cause, KeyboardInterrupt) or _follows_an_interrupt(cause)
    )
