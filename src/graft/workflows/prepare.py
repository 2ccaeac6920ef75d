"""From a recipe to what a run needs: images with their split, a backbone, a plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from graft.backbones.backbone import Backbone
from graft.backbones.load import BackboneSpec, specify_backbone
from graft.config import Recipe
from graft.data.check import check
from graft.data.manifest import Manifest, Sample, assign_splits
from graft.data.scan import scan
from graft.data.target import CLASSIFICATION, COLUMNS, MULTILABEL, REGRESSION
from graft.download import staying_offline
from graft.errors import RecipeError
from graft.heads import HeadRecord, MLPOptions, build_head
from graft.model import Model, make_model
from graft.plugins import HEADS, OBJECTIVES
from graft.strategies import HEAD, Plan, StrategyOptions, make_plan
from graft.tasks import Objective, Task, table_of, task_of
from graft.training import learning_rate


def read_images(recipe: Recipe, *, thorough: bool = True) -> tuple[Manifest, list[str]]:
    """Find, check and split the images.

    Args:
        recipe: Its `data` section and seed.
        thorough: Read every image's pixels, so that damaged ones are found before training.

    Returns:
        The split manifest, and what a person should know about it.

    Raises:
        DataError: The images cannot be trained on.
    """
    assert recipe.data.path is not None, "asked for before"
    with staying_offline(recipe.offline):
        scanned = scan(recipe.data.path, check=thorough, task=table_of(recipe.data.task))
    refuse_other_task(scanned, recipe.data.task)
    manifest = assign_splits(
        scanned,
        val_fraction=recipe.data.val_fraction,
        test_fraction=recipe.data.test_fraction,
        seed=recipe.seed,
    )
    return manifest, check(manifest, max_unreadable=recipe.data.max_unreadable)


def backbone_spec(recipe: Recipe) -> BackboneSpec:
    """Find out all about the recipe's backbone but its weights.

    Raises:
        BackboneError: Unknown name, or a network that cannot be used.
    """
    name, weights = recipe.backbone.name, recipe.backbone.weights
    assert name is not None, "chosen before, by `resolve_backbone`"
    with staying_offline(recipe.offline):
        return specify_backbone(
            name,
            weights=None if weights is None else Path(weights),
            pretrained=recipe.strategy.name != "scratch",
            image_size=recipe.data.image_size,
            channels=recipe.data.channels,
        )


def open_backbone(recipe: Recipe, spec: BackboneSpec | None = None) -> Backbone:
    """Load the recipe's backbone.

    Args:
        recipe: Names it.
        spec: What `backbone_spec` found out about it, if that was asked before.

    Raises:
        BackboneError: Unknown name, or weights that do not fit.
        ResourceError: The weights could not be fetched.
    """
    spec = spec or backbone_spec(recipe)
    with staying_offline(recipe.offline):
        return spec.load(seed=recipe.seed)


def choose_task(recipe: Recipe, manifest: Manifest) -> Task:
    """Return the task that the images' table says, with their classes, labels or numbers.

    Raises:
        RecipeError: The recipe asks for another task, or has options that mean nothing for it.
    """
    refuse_other_task(manifest, recipe.data.task)
    task = task_of(manifest, recipe.data.task)
    task.objective(recipe.training, manifest.subset("train"))  # refuses options, says nothing else
    return task


def refuse_other_task(manifest: Manifest, wanted: str | None) -> None:
    """Refuse images whose table or folders are of another task than the one asked for.

    Raises:
        RecipeError: They are.
    """
    reads = table_of(wanted)
    if reads not in (None, manifest.task):
        raise RecipeError(
            f"--task {wanted} was asked for, and '{manifest.root}' has {_SAYS[manifest.task]}.",
            f"For {wanted}, give a CSV with the columns path and {COLUMNS.get(str(reads), 'label')}"
            f"; or leave --task out for {manifest.task}.",
        )


_SAYS = {
    CLASSIFICATION: "a class for each image",
    MULTILABEL: "several labels for each image",
    REGRESSION: "a number for each image",
}


def head_record(recipe: Recipe, width: int, outputs: int, dropout: float) -> dict[str, Any]:
    """Return what builds the recipe's head, read by the schema that the head declares.

    Args:
        recipe: Its `head` section.
        width: Features per image.
        outputs: Outputs per image.
        dropout: The architecture's own, where the recipe says none.

    Raises:
        RecipeError: The head is not installed, or has no such options.
    """
    section = recipe.head
    schema = HEADS.find(section.kind).Record
    own = section.model_dump(include=set(MLPOptions.model_fields))
    facts = {
        "kind": section.kind,
        "width": width,
        "classes": outputs,
        "dropout": dropout if section.dropout is None else section.dropout,
        **{name: value for name, value in own.items() if section.kind == "mlp"},
        **section.options,
    }
    try:
        read: dict[str, Any] = schema.model_validate(facts, strict=False).model_dump()
    except ValidationError as invalid:
        first = invalid.errors(include_url=False)[0]
        raise RecipeError(
            f"head.options.{'.'.join(map(str, first['loc']))}: {first['msg']}.",
            f"The head '{section.kind}' has the options "
            f"{', '.join(schema.model_fields.keys() - HeadRecord.model_fields.keys()) or 'none'}.",
        ) from None
    return read


def graft_head(recipe: Recipe, backbone: Backbone, task: Task) -> Model:
    """Put the recipe's head on a backbone; its random start follows from the seed."""
    record = head_record(recipe, backbone.width, task.outputs, backbone.head_dropout)
    device = next(backbone.module.parameters()).device
    return make_model(backbone, build_head(record, seed=recipe.seed).to(device), task)


def choose_objective(recipe: Recipe, task: Task, train: Sequence[Sample]) -> Objective | None:
    """Return the objective that the recipe names; None where the task composes its own.

    Raises:
        RecipeError: It is not installed.
    """
    name = recipe.training.objective
    if name is None:
        return None
    return cast("Objective", OBJECTIVES.find(name)(task, recipe.training, train))


def choose_plan(recipe: Recipe, backbone: Backbone) -> Plan:
    """Turn the recipe's strategy into a plan for this backbone.

    Raises:
        RecipeError: Options that contradict one another.
        BackboneError: An unknown stage.
    """
    section = recipe.strategy
    options = section.model_dump(exclude={"name"})
    solvable = recipe.head.kind == "linear"
    options["head_start"] = section.head_start or ("solve" if solvable else "random")
    if section.unfreeze_from is not None:
        options["unfreeze_from"] = backbone.stage_of(section.unfreeze_from).name
    options["rates"] = {
        name if name == HEAD else backbone.stage_of(name).name: rate
        for name, rate in section.rates.items()
    }
    plan = make_plan(
        section.name,
        [stage.name for stage in backbone.stages],
        epochs=recipe.training.epochs,
        lr=learning_rate(recipe.training, section.name),
        options=StrategyOptions(**options),
    )
    smallest = recipe.training.batch_size // recipe.training.accumulate
    if plan.batch_norm == "train" and smallest < 2:
        raise RecipeError(
            "BatchNorm in train mode cannot normalise batches of one image.",
            "Use a --batch-size of at least 8, or --batch-norm eval.",
        )
    return plan
