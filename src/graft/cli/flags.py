"""The recipe's options as flags: one list, in `graft.config`, serves all entrances."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, Optional, get_args, get_origin

import typer

from graft.aliases import MISSING, OPTIONS
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
        choices = choices_of(field.annotation)
        if field.default is not None and field.default_factory is None:
            help_text += f" [default: {field.default}]"
        declared = typer.Option(
            flag,
            help=help_text.replace("[", r"\["),
            show_default=False,
            metavar=None if kind is bool else "|".join(choices) or "VALUE",
            autocompletion=_completion(choices),
            rich_help_panel=_PANELS.get(path.partition(".")[0], "Run"),
        )
        yield _parameter(name, kind, declared)
    names = {name for name, _, _ in options(recipe)}
    for other, name in OPTIONS.items():
        if name in names:
            yield _parameter(other, str, typer.Option(f"--{other.replace('_', '-')}", hidden=True))
    for name, answer in MISSING.items():
        if " " not in name:
            asked = typer.Option(f"--{name}", hidden=True, is_eager=True, callback=_refuse(answer))
            yield _parameter(name, bool, asked)


def _refuse(answer: tuple[str, str]) -> Callable[[bool | None], None]:
    def refuse(given: bool | None) -> None:
        if given:
            raise typer.BadParameter(" ".join(answer))

    return refuse


def _parameter(name: str, kind: Any, declared: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[Optional[kind], declared],  # noqa: UP045 typer reads it at run time
    )


def choices_of(annotation: Any) -> tuple[str, ...]:
    """Return the words that an option takes, where these are fixed.

    Example:
        >>> choices_of(Literal["sgd", "adam"] | None), choices_of(str)
        (('sgd', 'adam'), ())
    """
    if get_origin(annotation) is Literal:
        return tuple(word for word in get_args(annotation) if isinstance(word, str))
    return tuple(word for part in get_args(annotation) for word in choices_of(part))


def _completion(choices: tuple[str, ...]) -> Callable[[], tuple[str, ...]] | None:
    """Return what a shell offers after the flag."""
    return (lambda: choices) if choices else None
