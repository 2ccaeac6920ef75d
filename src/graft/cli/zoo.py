"""`graft zoo [NAME]`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from graft.cli.failing import err, print_json


def _one_of(*words: str) -> Any:
    """Return an option that takes one of some words."""
    return typer.Option(metavar="|".join(words), autocompletion=lambda: words)


def command(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="Describe one backbone: any name that `graft fit` takes"
        ),
    ] = None,
    *,
    family: Annotated[str | None, typer.Option(help="Such as ResNet, EfficientNet, ViT")] = None,
    provider: Annotated[str | None, _one_of("graft", "lite", "torchvision", "timm")] = None,
    max_params: Annotated[str | None, typer.Option(help="Most parameters, such as 10M")] = None,
    min_top1: Annotated[
        float | None, typer.Option("--min-top1", help="Least published ImageNet-1K top-1, in %")
    ] = None,
    suits: Annotated[
        str | None, _one_of("prototype", "edge", "balanced", "accuracy", "large-data")
    ] = None,
    sort: Annotated[str | None, _one_of("name", "top1", "params", "flops")] = None,
    suggest: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="A short list for these images and this machine"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document")] = False,
) -> None:
    """Without NAME, a table of models from facts that ship with Graft: no network, no download."""
    from graft.errors import RecipeError

    conditions = {
        "family": family,
        "provider": provider,
        "max_params": max_params,
        "min_top1": min_top1,
        "suits": suits,
        "sort": sort,
    }
    asked = {option: value for option, value in conditions.items() if value is not None}
    if (name is not None) + (suggest is not None) + bool(asked) > 1:
        raise RecipeError(
            "NAME, --suggest and the conditions of the table exclude each other.",
            "Give one of them.",
        )
    if name is not None:
        _describe(name, json)
    elif suggest is not None:
        _suggest(suggest, json)
    else:
        _table(asked, json)


def _table(asked: dict[str, Any], json: bool) -> None:
    from graft.report.zoo_table import print_zoo
    from graft.workflows.zoo import list_models
    from graft.zoo.catalogue import PURPOSES

    entries = [entry.to_dict() for entry in list_models(**asked)]
    if json:
        print_json(entries)
    else:
        print_zoo(entries, [purpose.name for purpose in PURPOSES], err())


def _describe(name: str, json: bool) -> None:
    from graft.report.zoo_table import print_backbone
    from graft.zoo.description import describe

    found = describe(name).to_dict()
    if json:
        print_json(found)
    else:
        print_backbone(found, err())


def _suggest(data: str, json: bool) -> None:
    from graft.report.zoo_table import print_suggestions
    from graft.zoo.suggest import suggest

    found = suggest(data)
    if json:
        print_json(found)
    else:
        print_suggestions(found, err())
