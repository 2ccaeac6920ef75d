"""`graft fit`: a folder or table of images in, a trained and honest model out."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from torch import nn

from graft.backbones.backbone import Backbone
from graft.backbones.load import absolute_name
from graft.cache.feature_cache import FeatureCache
from graft.calls import spelling
from graft.config import Recipe, options, resolve, write_yaml
from graft.data.augment import augmentation
from graft.data.check import check
from graft.data.loader import Loader
from graft.data.manifest import Manifest
from graft.data.preprocess import Preprocess
from graft.data.read import require_unchanged
from graft.data.scan import locate, restore
from graft.download import staying_offline
from graft.errors import BackboneError, RecipeError
from graft.files import readable_path
from graft.host import isolated
from graft.machine import Stopwatch
from graft.model import Model
from graft.plugins import OBJECTIVES
from graft.report.html import write_report
from graft.run import Run, next_folder
from graft.strategies import Plan, unusual_rates
from graft.tasks import Objective, Task
from graft.training import Callback, Trainer, learning_rate, notify, require_device
from graft.user_cache import feature_cache
from graft.workflows.effects import without_effect
from graft.workflows.finalize import finalize
from graft.workflows.lifecycle import new_run, recorded, resumed_run
from graft.workflows.prepare import (
    Objects,
    backbone_spec,
    choose_objective,
    choose_plan,
    choose_task,
    graft_head,
    head_record,
    open_backbone,
    parts_of_stages,
    plan_flags,
    read_images,
    unregistered,
)
from graft.zoo.choose import resolve_backbone

FREE_ON_RESUME = ("cache", "offline", "workers")
"""Options that a resumed run may change, because they change no number."""


@dataclass(frozen=True)
class Fit:
    """What `fit` returns.

    Args:
        run: The run folder.
        classifier: The best model of the run, in eval mode.
        result: The document that `graft fit --json` prints.
    """

    run: Path
    classifier: Model
    result: dict[str, Any]


@isolated()
def fit(
    data: str | os.PathLike[str] | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    config: str | os.PathLike[str] | None = None,
    sets: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    resume: bool = False,
    explain: bool = False,
    callbacks: Sequence[Callback] = (),
    backbone: str | Backbone | nn.Module | None = None,
    preprocess: Preprocess | None = None,
    head: str | nn.Module | Callable[[int, int], nn.Module] | None = None,
    task: str | Task | None = None,
    plan: Plan | None = None,
    objective: str | Objective | None = None,
    **overrides: Any,
) -> Fit:
    """Adapt a pre-trained backbone to a folder of images.

    Args:
        data: `train/val[/test]/<class>/…`, flat `<class>/…`, or a CSV with `path` and `label`,
            `labels`, a column of 0 and 1 for each label, or `value`, and perhaps `split`. It says
            what the task is: classification, multilabel or regression. Or labels in file names,
            pixels in a CSV or IDX files, or a Hugging Face dataset; see `graft.scan`.
        out: The run folder, new or empty; None takes the next free one below `runs/`.
        config: A recipe file; `RUN/recipe.yaml` repeats that run.
        sets: `"training.lr=0.01"` strings, as `--set` takes them.
        environ: Variables such as `GRAFT_LR`; the command line passes `os.environ`.
        resume: Continue the run in `out` from its newest checkpoint, to the same weights as if it
            had never stopped. A run that is done is returned as it is.
        explain: Say what is cached where, and why.
        callbacks: Called with the progress; see `graft.Callback`.
        backbone: A name ("resnet18"), a `Backbone`, or a network from images to logits, of which
            a backbone is made by tracing (`Backbone.from_module`). None takes lite0 or
            graft-small, whichever suits the images, and records it in the run's recipe; see
            `graft.zoo.choose`.
        preprocess: The images that such a network expects; None means ImageNet's usual ones.
        head: A name ("mlp"), a module with `record()` (see `graft.heads.Head`), or a function
            `(width, outputs) -> module`.
        task: A name, or a `Task`; None takes what the images' table says.
        plan: A `Plan` in place of strategy and epochs.
        objective: A name, or an `Objective`; None takes the task's own.
        overrides: Any other option of the recipe by its flag name: `strategy="full"`, `epochs=5`,
            `lr=1e-3`, `seed=0`, … See `graft.config`.

    Objects are copied where the run trains them. The recipe keeps what each one was, with the hash
    of its numbers, so that a repeated or resumed run asks for the same ones.

    Raises:
        RecipeError: Options that cannot be meant, or an `out` that already holds a run.
        DataError: Images that cannot be trained on.
        BackboneError: An unknown backbone or stage, or weights that do not fit.
        ResourceError: No disk, memory, device or network.
        DivergedError: Training did not stay finite.
        KeyboardInterrupt: Ctrl-C; the best classifier so far is in `RUN/model`.

    Example:
        >>> fitted = fit("photos", backbone="resnet18", strategy="full")  # doctest: +SKIP
        >>> fitted.classifier.predict("photo.jpg")[0].label  # doctest: +SKIP
        'ants'
    """
    watch, message = Stopwatch(), partial(notify, callbacks, "on_message")
    objects, names = Objects.divide(
        backbone=backbone,
        preprocess=preprocess,
        head=head,
        task=task,
        plan=plan,
        objective=objective,
    )
    flags = {"path": None if data is None else os.fspath(data), **overrides, **names}
    if plan is not None:
        flags |= plan_flags(plan, overrides)
    if not resume:
        recipe = resolve(flags, config=config, sets=sets, environ=environ, on_message=message)
        _require_weights(recipe)
        recipe = complete(recipe, message)
        recipe = objects.into(recipe, replaced=names)
        with _start(recipe, objects, out, watch, message) as job:
            return _carry_out(job, callbacks, watch, explain)
    if out is None or config is not None:
        raise RecipeError(
            "--resume continues the run in --out with that run's own recipe.",
            "Write `graft fit --resume --out RUN`, without --config.",
        )
    with resumed_run(out, "fit") as run:
        job = _reopen(run, objects, flags, sets, watch)
        state = run.state()
        if state["state"] != "done":
            return _carry_out(job, callbacks, watch, explain)
        if not run.report.exists():  # killed between the last number and the page that shows it
            write_report(run.folder)
        message(f"The run in '{out}' is already done.")
        return Fit(run.folder, Model.load(run.folder), state["result"])


@isolated()
def plan_only(
    data: str | os.PathLike[str] | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    sets: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    **overrides: Any,
) -> dict[str, Any]:
    """Say what `fit` would do, without weights, training or a run folder.

    Returns:
        The keys of `fit`'s document that are known beforehand, `plan` among them; `choice`, in
        words why this backbone, None where the recipe names it; and `notes`, what words of other
        libraries and modules of the network mean here.
    """
    flags = {"path": None if data is None else os.fspath(data), **overrides}
    notes: list[str] = []
    recipe = resolve(flags, config=config, sets=sets, environ=environ, on_message=notes.append)
    _require_weights(recipe)
    recipe = complete(recipe, notes.append)
    read = cache(partial(read_images, recipe, thorough=False))
    recipe, choice = resolve_backbone(recipe, lambda: read()[0])
    backbone = backbone_spec(recipe).on_meta()
    plan = choose_plan(recipe, backbone)
    notes += parts_of_stages(recipe, backbone)
    manifest, warnings = read()
    warnings = [*warnings, *_unusual(recipe, plan)]
    task = choose_task(recipe, manifest)
    classifier = graft_head(recipe, backbone, task)
    return {
        "task": task.name,
        "backbone": backbone.name,
        "choice": choice and choice.message,
        "notes": notes,
        "strategy": plan.strategy,
        "classes": list(manifest.classes),
        "plan": plan.to_dict(
            learning_rate(recipe.training, plan.strategy), classifier.count_parameters()
        ),
        **{f"{split}_images": len(manifest.subset(split)) for split in ("train", "val", "test")},
        "warnings": [*without_effect(recipe, plan), *warnings],
    }


def _require_weights(recipe: Recipe) -> None:
    """Refuse weights that are not there.

    Raises:
        BackboneError: There is no such file.
    """
    weights = recipe.backbone.weights
    if weights is not None and not readable_path(weights).is_file():
        raise BackboneError(
            f"There is no weights file '{weights}'.",
            "Give the path of a file, or published weights as --backbone NAME@WEIGHTS.",
        )


def _unusual(recipe: Recipe, plan: Plan) -> list[str]:
    rate = learning_rate(recipe.training, plan.strategy)
    return unusual_rates(plan, rate, recipe.training.optimizer)


def complete(recipe: Recipe, message: Callable[[str], None] = lambda said: None) -> Recipe:
    """Refuse what needs no image to be refused, and make paths absolute so that runs repeat.

    Args:
        recipe: As resolved.
        message: Called with the name of a backbone that was spelled otherwise.

    Raises:
        RecipeError: No data was named, or the augmentation or the device is unknown.
        ResourceError: The device is not there.
    """
    augmentation(recipe.data.augment)
    require_device(recipe.device)
    head_record(recipe, width=1, outputs=1, dropout=0.0)
    if recipe.training.objective is not None:
        OBJECTIVES.find(recipe.training.objective)
    if recipe.data.path is None:
        raise RecipeError(
            "No images were given.", "Write `graft fit DIR`, or set data.path in the recipe."
        )
    data = recipe.data.model_copy(update={"path": locate(recipe.data.path)})
    own = recipe.backbone
    weights = None if own.weights is None else str(readable_path(own.weights).absolute())
    name = None if own.name is None else absolute_name(own.name)
    if name is not None and spelling(name) == spelling(own.name or "") and name != own.name:
        message(f"{own.name} is Graft's --backbone {name}.")
    backbone = own.model_copy(update={"name": name, "weights": weights})
    return recipe.model_copy(update={"data": data, "backbone": backbone})


@dataclass(frozen=True)
class _Job:
    """A run that is ready to be carried out, from its beginning or from its checkpoints."""

    run: Run
    recipe: Recipe
    objects: Objects
    backbone: Backbone
    plan: Plan
    task: Task
    manifest: Manifest
    warnings: list[str]
    resume: bool


@contextlib.contextmanager
def _start(
    recipe: Recipe,
    objects: Objects,
    out: str | os.PathLike[str] | None,
    watch: Stopwatch,
    message: Callable[[str], None],
) -> Iterator[_Job]:
    """Prepare a new run and hold it. What is quick to refuse comes before the images are read."""
    out = recipe.out if out is None else out
    if out is not None:
        Run.refuse_taken(out)

    @cache
    def read() -> tuple[Manifest, list[str]]:
        with watch("data"):
            return read_images(recipe)

    choice = None
    if objects.backbone is None:
        with watch("extract"):
            recipe, choice = resolve_backbone(
                recipe,
                lambda: read()[0],
                task=objects.task,
                cache=FeatureCache.at(feature_cache(recipe.cache)),
            )
    if choice is not None and not choice.fallback:
        message(choice.message)
    spec = backbone_spec(recipe, objects)
    plan = choose_plan(recipe, spec.on_meta(), objects)
    if objects.plan is None:
        for part in parts_of_stages(recipe, spec.on_meta()):
            message(part)
    manifest, warnings = read()
    warnings = [*warnings, *_unusual(recipe, plan)]
    task = choose_task(recipe, manifest, objects)
    if choice is not None and choice.fallback:
        warnings = [choice.message, *warnings]
    backbone = open_backbone(recipe, spec)
    warnings = [*without_effect(recipe, plan), *warnings]
    resolved: dict[str, Any] = {"epochs": plan.epochs}
    if plan.epochs:
        resolved["lr"] = learning_rate(recipe.training, plan.strategy)
    recipe = recipe.model_copy(
        update={"training": recipe.training.model_copy(update=resolved), "out": None}
    )
    if out is None:
        assert recipe.data.path is not None, "complete() asked for it"
        out = next_folder(recipe.data.path, recipe.backbone.name or backbone.name, plan.strategy)

    def write(run: Run) -> None:
        write_yaml(recipe, run.recipe)
        manifest.save(run.manifest)

    with new_run(out, seed=recipe.seed, write=write) as run:
        yield _Job(run, recipe, objects, backbone, plan, task, manifest, warnings, resume=False)


def _reopen(
    run: Run, objects: Objects, flags: Mapping[str, Any], sets: Sequence[str], watch: Stopwatch
) -> _Job:
    """Prepare to continue a run with its own recipe, its own split, and the same objects."""
    recipe = resolve(config=run.recipe)
    if objects.into(recipe).objects != recipe.objects:
        raise RecipeError(
            f"The run in '{run.folder}' was started without {_surplus(recipe, objects)}=.",
            "Leave it out to resume, or start a new run in another --out.",
        )
    wanted = complete(resolve(flags, config=run.recipe, sets=sets))
    recipe = recipe.model_copy(update={name: getattr(wanted, name) for name in FREE_ON_RESUME})
    if wanted != recipe:
        raise RecipeError(
            f"The run in '{run.folder}' was started with {_difference(recipe, wanted)}.",
            "Leave the option out to resume, or start a new run in another --out.",
        )
    with watch("data"):
        manifest = Manifest.load(run.manifest)
        if run.state()["state"] != "done":
            with staying_offline(recipe.offline):
                restore(str(recipe.data.path), manifest)
            require_unchanged(manifest)
        warnings = check(manifest, max_unreadable=recipe.data.max_unreadable)
    backbone = open_backbone(recipe, objects=objects)
    plan, task = choose_plan(recipe, backbone, objects), choose_task(recipe, manifest, objects)
    warnings = [*without_effect(recipe, plan), *warnings, *_unusual(recipe, plan)]
    return _Job(run, recipe, objects, backbone, plan, task, manifest, warnings, resume=True)


def _surplus(recipe: Recipe, objects: Objects) -> str:
    return next(name for name in objects.record() if name not in recipe.objects)


def _difference(recorded: Recipe, wanted: Recipe) -> str:
    """Name the first option in which two recipes differ, with the recorded value first."""
    for name, path, _ in options():
        values = []
        for recipe in (recorded, wanted):
            value: Any = recipe
            for part in path.split("."):
                value = getattr(value, part)
            values.append(value)
        if values[0] != values[1]:
            return f"{name} = {values[0]!r}, not {values[1]!r}"
    raise AssertionError("the recipes are equal")


def _carry_out(job: _Job, callbacks: Sequence[Callback], watch: Stopwatch, explain: bool) -> Fit:
    """Train, measure and write, and leave `run.json` saying how it ended."""
    run, message = job.run, partial(notify, callbacks, "on_message")
    with recorded(run, "fit", message):
        for warning in job.warnings:
            message(warning)
        # Two networks of the same weights may differ in their code, which no key can tell.
        known = job.objects.backbone is None or isinstance(job.objects.backbone, Backbone)
        cache = FeatureCache.at(
            feature_cache(job.recipe.cache if known else "off"),
            on_decision=(lambda kept: message(str(kept))) if explain else None,
        )
        trainer = _trainer(job, cache, callbacks, watch)
        missing = unregistered(trainer.model)
        if missing:
            job.warnings.append(missing)
            message(missing)
        try:
            trainer.train()
        except KeyboardInterrupt:
            # Let the work so far be used: the same files, without the one look at the test images.
            if trainer.position.best is not None:
                finalize(run, trainer, job.manifest, job.warnings, watch, state="interrupted")
                message(f"The best model so far is in {run.model}.")
            raise
        for refusal in cache.finish():
            message(f"Not everything is kept for later runs: {refusal}")
        result = finalize(run, trainer, job.manifest, job.warnings, watch, state="done")
    return Fit(run.folder, trainer.model, result)


def _trainer(
    job: _Job, cache: FeatureCache, callbacks: Sequence[Callback], watch: Stopwatch
) -> Trainer:
    recipe, manifest = job.recipe, job.manifest
    classifier = graft_head(recipe, job.backbone, job.task, job.objects)
    images, val_images = manifest.subset("train"), manifest.subset("val")
    preprocess = job.backbone.preprocess
    pixels = cache.images([*images, *val_images], preprocess, looks=job.plan.epochs)
    train = Loader(
        images,
        classifier.task,
        preprocess,
        batch_size=recipe.training.batch_size,
        augmentation=augmentation(recipe.data.augment),
        shuffle=True,
        seed=recipe.seed,
        workers=recipe.workers,
        pixels=pixels,
    )
    return Trainer(
        classifier,
        job.plan,
        train,
        classifier.loader(val_images, workers=recipe.workers, pixels=pixels),
        options=recipe.training,
        objective=choose_objective(recipe, job.task, images, job.objects),
        cache=cache,
        seed=recipe.seed,
        device=recipe.device,
        folder=job.run.folder,
        resume=job.resume,
        callbacks=callbacks,
        watch=watch,
    )
