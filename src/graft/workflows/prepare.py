"""From a recipe to what a run needs: images with their split, a backbone, a plan."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

import torch
from pydantic import ValidationError
from torch import nn

from graft.backbones.backbone import Backbone
from graft.backbones.load import BackboneSpec, specify_backbone
from graft.config import Recipe
from graft.data.check import check
from graft.data.manifest import Manifest, Sample, assign_splits, limit_training
from graft.data.preprocess import Preprocess
from graft.data.scan import scan
from graft.data.target import CLASSIFICATION, COLUMNS, MULTILABEL, REGRESSION
from graft.download import staying_offline
from graft.errors import RecipeError
from graft.heads import HeadRecord, MLPOptions, build_head
from graft.heads.linear import LinearHead
from graft.model import Model, make_model
from graft.plugins import BACKBONES, HEADS, OBJECTIVES, TASKS
from graft.strategies import HEAD, Plan, StrategyOptions, make_plan, stages_named
from graft.strategies.options import EVERYTHING
from graft.tasks import Objective, Task, table_of, task_of
from graft.training import learning_rate


@dataclass(frozen=True)
class Objects:
    """Parts of a run that `graft.fit` was given as objects, which a recipe can only name.

    A recipe keeps of each what it is and, where it holds numbers, their hash. Whoever repeats or
    resumes the run gives the same ones again.

    Args:
        backbone: A backbone, or a network of which one is made.
        preprocess: The images that such a network expects; None means ImageNet's usual ones.
        head: A module, or a function `(width, outputs) -> module`.
        task: What the network owes each image.
        plan: Which stages learn when.
        objective: What is minimised.
    """

    backbone: Backbone | nn.Module | None = None
    preprocess: Preprocess | None = None
    head: nn.Module | Callable[[int, int], nn.Module] | None = None
    task: Task | None = None
    plan: Plan | None = None
    objective: Objective | None = None

    @classmethod
    def divide(cls, **parts: Any) -> tuple[Objects, dict[str, str]]:
        """Divide parts into objects and names for the recipe."""
        names = {name: part for name, part in parts.items() if isinstance(part, str)}
        return cls(**{name: part for name, part in parts.items() if name not in names}), names

    def record(self) -> dict[str, str]:
        """Return what a recipe keeps of each."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: _named(part) for name, part in given.items() if part is not None}

    def into(self, recipe: Recipe, replaced: Collection[str] = ()) -> Recipe:
        """Return the recipe with these objects in it.

        Args:
            recipe: Perhaps made with objects before.
            replaced: Parts that were named instead.

        Raises:
            RecipeError: It was made with objects that are missing or others now, or options say
                what an object says already.
        """
        given = self.record()
        for name, wanted in recipe.objects.items():
            if name not in replaced and given.get(name) != wanted:
                now = f"is {given[name]} now" if name in given else "is missing"
                raise RecipeError(
                    f"The recipe was made with {name}={wanted}, an object, which {now}.",
                    f"Call graft.fit(..., {name}=...) with the same object; no file describes it.",
                )
        data, backbone = recipe.data, recipe.backbone
        says = (data.image_size, data.resize, data.channels, backbone.weights)
        if self.backbone is not None and any(option is not None for option in says):
            raise RecipeError(
                "A backbone that is an object has its weights and its images' size already.",
                "Leave out weights, image_size, resize and channels, or give preprocess=.",
            )
        if self.preprocess is not None and (
            self.backbone is None or isinstance(self.backbone, Backbone)
        ):
            raise RecipeError(
                "preprocess= belongs to backbone=<nn.Module>.", "Leave it out; backbones have one."
            )
        return recipe.model_copy(update={"objects": given})

    @property
    def solvable(self) -> bool | None:
        """Whether the head can be solved; None where the recipe names the head."""
        if self.head is None:
            return None
        return isinstance(self.head, LinearHead) or self.head is LinearHead

    def open_backbone(self) -> Backbone | None:
        """Return a copy of the given backbone, which the run may train."""
        if isinstance(self.backbone, Backbone):
            return copy.deepcopy(self.backbone)
        if self.backbone is not None:
            return Backbone.from_module(self.backbone, self.preprocess)
        return None

    def make_head(self, width: int, outputs: int) -> nn.Module | None:
        """Return a copy of the given head, or what the given function makes.

        Raises:
            RecipeError: It is no head for so many features and outputs.
        """
        if self.head is None:
            return None
        if isinstance(self.head, nn.Module):
            head: Any = copy.deepcopy(self.head)
        else:
            head = self.head(width, outputs)
        if not isinstance(head, nn.Module) or not hasattr(head, "record"):
            raise RecipeError(
                f"head={_named(self.head)} is not a module with a method `record()`.",
                "See `graft.heads.Head`.",
            )
        record = cast("Any", head).record()
        if (record.get("width"), record.get("classes")) != (width, outputs):
            raise RecipeError(
                f"head={_named(self.head)} takes {record.get('width')} features and gives "
                f"{record.get('classes')} outputs; {width} and {outputs} were expected.",
                "Give a function (width, outputs) -> module.",
            )
        if record.get("kind") in HEADS and not isinstance(head, HEADS[record["kind"]]):
            raise RecipeError(
                f"head={_named(self.head)} calls itself '{record['kind']}', which is another head.",
                "Give it a kind of its own in `record()`.",
            )
        return head


def _named(part: object) -> str:
    """Say what an object is; where it holds numbers, with their hash."""
    network = part.module if isinstance(part, Backbone) else part
    kind = (
        network if isinstance(network, type) or hasattr(network, "__qualname__") else type(network)
    )
    name = f"{kind.__module__}.{getattr(kind, '__qualname__', type(kind).__name__)}"
    if isinstance(network, nn.Module):
        digest = hashlib.sha256()
        for key, tensor in network.state_dict().items():
            digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    elif isinstance(part, Plan | Preprocess | Task):
        digest = hashlib.sha256(repr(part).encode())
    else:
        return name
    return f"{name} ({digest.hexdigest()[:12]})"


def unregistered(model: Model) -> str | None:
    """Say what of a model no installed package registers, so that its folder cannot be loaded."""
    head = cast("Any", model.head).record().get("kind")
    parts = (
        (HEADS, head),
        (TASKS, model.task.name),
        (BACKBONES, model.backbone.provenance.provider),
    )
    for registry, name in parts:
        if name not in registry:
            return (
                f"The {registry.what} '{name}' is registered by no installed package, so "
                "graft.load and graft predict cannot read this run's model. Put it under the entry "
                f"point group '{registry.group}'."
            )
    return None


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
    manifest = limit_training(
        manifest, per_class=recipe.data.per_class, limit=recipe.data.limit, seed=recipe.seed
    )
    return manifest, check(manifest, max_unreadable=recipe.data.max_unreadable)


@dataclass
class _GivenSpec:
    """A backbone that is there already."""

    backbone: Backbone

    def on_meta(self) -> Backbone:
        return replace(self.backbone, module=copy.deepcopy(self.backbone.module).to("meta"))

    def load(self, *, seed: int = 0) -> Backbone:
        return self.backbone


def backbone_spec(recipe: Recipe, objects: Objects | None = None) -> BackboneSpec:
    """Find out all about the recipe's backbone, or a given one, but its weights.

    Raises:
        BackboneError: Unknown name, or a network that cannot be used.
    """
    given = objects.open_backbone() if objects else None
    if given is not None:
        return _GivenSpec(given)
    name, weights = recipe.backbone.name, recipe.backbone.weights
    assert name is not None, "chosen before, by `resolve_backbone`"
    with staying_offline(recipe.offline):
        return specify_backbone(
            name,
            weights=None if weights is None else Path(weights),
            pretrained=recipe.strategy.name != "scratch",
            image_size=recipe.data.image_size,
            resize=recipe.data.resize,
            channels=recipe.data.channels,
        )


def open_backbone(
    recipe: Recipe, spec: BackboneSpec | None = None, objects: Objects | None = None
) -> Backbone:
    """Load the recipe's backbone.

    Args:
        recipe: Names it.
        spec: What `backbone_spec` found out about it, if that was asked before.
        objects: May hold the backbone in its place.

    Raises:
        BackboneError: Unknown name, or weights that do not fit.
        ResourceError: The weights could not be fetched.
    """
    spec = spec or backbone_spec(recipe, objects)
    with staying_offline(recipe.offline):
        return spec.load(seed=recipe.seed)


def choose_task(recipe: Recipe, manifest: Manifest, objects: Objects | None = None) -> Task:
    """Return a given task, or the one that the images' table says with its classes and labels.

    Raises:
        RecipeError: The recipe asks for another task, or has options that mean nothing for it.
    """
    refuse_other_task(manifest, recipe.data.task)
    task = (objects and objects.task) or task_of(manifest, recipe.data.task)
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


def plan_flags(plan: Plan, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a given plan says of the recipe.

    Raises:
        RecipeError: The options say it as well.
    """
    says = {"strategy": plan.strategy, "epochs": plan.epochs}
    for name in says:
        if overrides.get(name) is not None:
            raise RecipeError(f"A plan was given, and it says the {name}.", f"Leave out {name}=.")
    return says


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


def graft_head(
    recipe: Recipe, backbone: Backbone, task: Task, objects: Objects | None = None
) -> Model:
    """Put the recipe's head, or a given one, on a backbone; its random start follows the seed."""
    device = next(backbone.module.parameters()).device
    head = objects.make_head(backbone.width, task.outputs) if objects else None
    if head is None:
        record = head_record(recipe, backbone.width, task.outputs, backbone.head_dropout)
        head = build_head(record, seed=recipe.seed)
    return make_model(backbone, head.to(device), task)


def _fitting(plan: Plan, backbone: Backbone, solvable: bool) -> Plan:
    stages = tuple(stage.name for stage in backbone.stages)
    if plan.stages != stages:
        raise RecipeError(
            f"The plan is for the stages {', '.join(plan.stages)}, and '{backbone.name}' has "
            f"{', '.join(stages)}.",
            "Make it with graft.make_plan(strategy, [stage.name for stage in backbone.stages]).",
        )
    if not solvable and any(phase.method == "solve" for phase in plan.phases):
        raise RecipeError(
            "The plan solves the head, and only a linear head can be solved.",
            'Make it with StrategyOptions(head_start="random"), or give a linear head.',
        )
    return plan


def choose_objective(
    recipe: Recipe, task: Task, train: Sequence[Sample], objects: Objects
) -> Objective | None:
    """Return the objective that is given or named; None where the task composes its own.

    Raises:
        RecipeError: It is not installed.
    """
    name = recipe.training.objective
    if objects.objective is not None or name is None:
        return objects.objective
    return cast("Objective", OBJECTIVES.find(name)(task, recipe.training, train))


def _by_stage(options: dict[str, Any], backbone: Backbone) -> dict[str, Any]:
    """Return strategy options with stages in place of the modules that they name.

    Raises:
        BackboneError: The network has no such part.
    """

    def rates(named: Mapping[str, float]) -> dict[str, float]:
        # A module of many stages first, so that what is named more closely counts.
        parts = [(backbone.stages_of(name), rate) for name, rate in named.items()]
        parts.sort(key=lambda part: -len(part[0]))
        return {stage: rate for stages, rate in parts for stage in stages}

    def stages(names: Sequence[str]) -> list[str]:
        found = (backbone.stages_of(name) if name != EVERYTHING else (name,) for name in names)
        return [stage for each in found for stage in each]

    phases = options["phases"]
    return {
        **options,
        "rates": rates(options["rates"]),
        "unfreeze_from": options["unfreeze_from"]
        and backbone.stages_of(options["unfreeze_from"])[0],
        "phases": phases
        and [
            {**phase, "stages": stages(phase["stages"]), "rates": rates(phase.get("rates", {}))}
            for phase in phases
        ],
    }


def parts_of_stages(recipe: Recipe, backbone: Backbone) -> list[str]:
    """Say which modules that the recipe names are only a part of the stage that is meant."""
    options = StrategyOptions(**recipe.strategy.model_dump(exclude={"name"}))
    said = []
    for name in sorted(stages_named(options)):
        for stage in map(backbone.stage, set(backbone.stages_of(name)) - {name, HEAD}):
            if not all(tensor.startswith(f"{name}.") for tensor in stage.parameters):
                said.append(
                    f"{name} is a part of {stage.name}, which is meant as a whole, from "
                    f"{stage.modules[0]} on."
                )
    return said


def choose_plan(recipe: Recipe, backbone: Backbone, objects: Objects | None = None) -> Plan:
    """Turn the recipe's strategy into a plan for this backbone, or take a given one.

    Raises:
        RecipeError: Options that contradict one another.
        BackboneError: An unknown stage.
    """
    section = recipe.strategy
    options = section.model_dump(exclude={"name"})
    given = objects or Objects()
    solvable = recipe.head.kind == "linear" if given.solvable is None else given.solvable
    if given.plan is not None:
        return _fitting(given.plan, backbone, solvable)
    if section.head_start == "solve" and not solvable:
        raise RecipeError(
            "--head-start solve needs a linear head, and the given head is another.",
            "Leave it out, or give a graft.LinearHead.",
        )
    if section.head_start is None and section.name != "phases":
        options["head_start"] = "solve" if solvable else "random"
    plan = make_plan(
        section.name,
        [stage.name for stage in backbone.stages],
        epochs=recipe.training.epochs,
        lr=learning_rate(recipe.training, section.name),
        options=StrategyOptions(**_by_stage(options, backbone)),
    )
    _fitting(plan, backbone, solvable)
    smallest = recipe.training.batch_size // recipe.training.accumulate
    if plan.batch_norm == "train" and smallest < 2:
        raise RecipeError(
            "BatchNorm in train mode cannot normalise batches of one image.",
            "Use a --batch-size of at least 8, or --batch-norm eval.",
        )
    return plan
