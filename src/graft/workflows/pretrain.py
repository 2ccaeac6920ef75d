"""`graft pretrain`: a backbone of one's own, from generated images or from a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from torch import nn

from graft.backbones.backbone import Backbone
from graft.backbones.load import absolute_name, load_backbone
from graft.backbones.providers import SHIPPED_WEIGHTS
from graft.backbones.saved import save_backbone
from graft.config import TrainingOptions, resolve_as, write_yaml
from graft.data.augment import Augmentation, augmentation
from graft.data.check import check
from graft.data.loader import Loader
from graft.data.manifest import Manifest, assign_splits
from graft.data.prefetch import PixelCache
from graft.data.read import require_unchanged
from graft.data.scan import locate, scan, scan_unlabelled
from graft.download import staying_offline
from graft.errors import RecipeError
from graft.files import readable_path
from graft.host import isolated
from graft.machine import Stopwatch
from graft.model import Model
from graft.pretraining.heads import FactorHeads, Factors, make_projector, projector_widths
from graft.pretraining.images import FolderImages, GeneratedImages, Images
from graft.pretraining.losses import BarlowTwins, BetweenViews, NTXent, PairLoss, VICReg
from graft.pretraining.monitor import CollapseMonitor
from graft.pretraining.pretext import Pretext, learning_rate, pretraining_plan
from graft.pretraining.recipe import MethodOptions, PretrainRecipe
from graft.pretraining.views import simclr_augmentation
from graft.procedural import Scenes
from graft.run import Run, next_folder, now
from graft.tasks import Classification, Objective
from graft.training import Callback, Trainer, notify, require_device
from graft.workflows.lifecycle import new_run, recorded, resumed_run

FREE_ON_RESUME = ("offline", "workers")
SUPERVISED = "supervised"
COLOUR = 0.5
"""Strength of the jitter: a backbone for any purpose had better keep some sense of colour."""


@dataclass(frozen=True)
class Pretrained:
    """What `pretrain` returns.

    Args:
        run: The run folder, which `--backbone` takes.
        backbone: The trained backbone, in eval mode.
        result: The document that `graft pretrain --json` prints.
    """

    run: Path
    backbone: Backbone
    result: dict[str, Any]


@isolated()
def pretrain(
    data: str | os.PathLike[str] | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    config: str | os.PathLike[str] | None = None,
    sets: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
    **overrides: Any,
) -> Pretrained:
    """Train a backbone without the task that it is for.

    Args:
        data: A folder of images, with or without labels; None trains on generated images.
        out: The run folder, new or empty; None takes the next free one below `runs/`.
        config: A recipe file; `RUN/recipe.yaml` repeats that run, "graft-small" makes the weights
            that ship with Graft again.
        sets: `"training.lr=0.01"` strings, as `--set` takes them.
        environ: Variables such as `GRAFT_LR`; the command line passes `os.environ`.
        resume: Continue the run in `out` after its last whole epoch, to the same weights as if it
            had never stopped.
        callbacks: Called with the progress; see `graft.Callback`.
        overrides: Any option by its flag name: `method="simclr"`, `epochs=5`, `start="random"`, …
            See `graft.pretraining.recipe`.

    Raises:
        RecipeError: Options that cannot be meant, or an `out` that already holds a run.
        DataError: Images that cannot be trained on.
        BackboneError: An unknown backbone, or weights that do not fit.
        ResourceError: No disk, memory, device or network.
        DivergedError: Training did not stay finite, or the features collapsed.
        KeyboardInterrupt: Ctrl-C; the backbone after the last whole epoch is in `RUN/model`.
    """
    watch, message = Stopwatch(), partial(notify, callbacks, "on_message")
    flags = {"path": None if data is None else os.fspath(data), **overrides}
    if resume:
        if out is None or config is not None:
            raise RecipeError(
                "--resume continues the run in --out with that run's own recipe.",
                "Write `graft pretrain --resume --out RUN`, without --config.",
            )
        with resumed_run(out, "pretrain") as run:
            recipe = _reopen(run, flags, sets)
            state = run.state()
            if state["state"] == "done":
                message(f"The run in '{out}' is already done.")
                return Pretrained(run.folder, load_backbone(str(run.folder)), state["result"])
            manifest = None
            if recipe.data.path is not None:
                with watch("data"):
                    manifest = Manifest.load(run.manifest)
                    require_unchanged(manifest)
            backbone = _backbone(recipe)
            return _carry_out(run, recipe, backbone, manifest, [], True, callbacks, watch)
    recipe = _complete(
        resolve_as(
            PretrainRecipe,
            flags,
            config=_file(config),
            sets=sets,
            environ=environ,
            on_message=message,
        )
    )
    backbone = _backbone(recipe)  # what is quick to refuse comes before the images are read
    out = recipe.out if out is None else out
    if out is not None:
        Run.refuse_taken(out)
    with watch("data"):
        manifest, warnings = _read(recipe)
    fresh = recipe.backbone.start == "random"
    lr = learning_rate(recipe.training, fresh=fresh)
    training = recipe.training.model_copy(update={"lr": lr})
    recipe = recipe.model_copy(update={"training": training, "out": None})
    if out is None:
        name = recipe.data.path or "generated"
        assert recipe.method.name is not None, "completed"
        out = next_folder(name, recipe.backbone.name, recipe.method.name)

    def write(run: Run) -> None:
        write_yaml(recipe, run.recipe)
        if manifest is not None:
            manifest.save(run.manifest)

    with new_run(out, seed=recipe.seed, write=write) as run:
        return _carry_out(run, recipe, backbone, manifest, warnings, False, callbacks, watch)


def _file(config: str | os.PathLike[str] | None) -> str | os.PathLike[str] | None:
    """Return a recipe file: the given one, or a shipped one by the name of its backbone."""
    shipped = files("graft.pretraining").joinpath(f"{config}.yaml".replace("-", "_"))
    if isinstance(config, str) and config in SHIPPED_WEIGHTS and not Path(config).exists():
        return str(shipped)
    return config


def _complete(recipe: PretrainRecipe) -> PretrainRecipe:
    """Fill in what follows from other options, and make paths absolute so that runs repeat."""
    require_device(recipe.device)
    data, own = recipe.data, recipe.backbone
    folder = data.path is not None
    known = own.weights is not None or folder
    method = recipe.method.name or ("simclr" if folder else SUPERVISED)
    augment = data.augment
    if augment is None:
        augment = "simclr" if method != SUPERVISED else "basic" if folder else "none"
    if method != SUPERVISED and augment == "none":
        raise RecipeError(
            f"--method {method} compares two augmented views, and --augment is none.",
            "Leave --augment out, or choose --method supervised.",
        )
    if augment != "simclr":
        augmentation(augment)
    weights = None if own.weights is None else str(readable_path(own.weights).absolute())
    return recipe.model_copy(
        update={
            "data": data.model_copy(
                update={
                    "path": locate(data.path) if data.path is not None else None,
                    "augment": augment,
                }
            ),
            "backbone": own.model_copy(
                update={
                    "name": absolute_name(own.name),
                    "weights": weights,
                    "start": own.start or ("pretrained" if known else "random"),
                }
            ),
            "method": recipe.method.model_copy(update={"name": method}),
        }
    )


def _reopen(run: Run, flags: Mapping[str, Any], sets: Sequence[str]) -> PretrainRecipe:
    recipe = resolve_as(PretrainRecipe, config=run.recipe)
    wanted = _complete(resolve_as(PretrainRecipe, flags, config=run.recipe, sets=sets))
    recipe = recipe.model_copy(update={name: getattr(wanted, name) for name in FREE_ON_RESUME})
    if wanted != recipe:
        raise RecipeError(
            f"The run in '{run.folder}' was started with other options.",
            f"Leave options out to resume ({run.recipe} has them), or start a new run.",
        )
    return recipe


def _backbone(recipe: PretrainRecipe) -> Backbone:
    own = recipe.backbone
    with staying_offline(recipe.offline):
        backbone = load_backbone(
            own.name,
            weights=own.weights,
            pretrained=own.start == "pretrained",
            image_size=recipe.data.image_size,
            seed=recipe.seed,
        )
    preprocess = backbone.preprocess
    drawn = recipe.data.path is None
    if drawn and (preprocess.channels != 3 or preprocess.height != preprocess.width):
        raise RecipeError(
            f"'{own.name}' takes images of {preprocess.height} x {preprocess.width} pixels and "
            f"{preprocess.channels} channels; generated ones are square and have 3.",
            "Give a folder of images, or another --backbone.",
        )
    return backbone


def _read(recipe: PretrainRecipe) -> tuple[Manifest | None, list[str]]:
    """Find and check the folder's images; None where the images are generated."""
    if recipe.data.path is None:
        return None, []
    if recipe.method.name == SUPERVISED:
        with staying_offline(recipe.offline):
            scanned = scan(recipe.data.path)
        manifest = assign_splits(scanned, val_fraction=0.1, test_fraction=0.0, seed=recipe.seed)
        return manifest, check(manifest, max_unreadable=recipe.data.max_unreadable)
    manifest = scan_unlabelled(recipe.data.path, max_unreadable=recipe.data.max_unreadable)
    return manifest, list(manifest.notes)


def _carry_out(
    run: Run,
    recipe: PretrainRecipe,
    backbone: Backbone,
    manifest: Manifest | None,
    warnings: list[str],
    resume: bool,
    callbacks: Sequence[Callback],
    watch: Stopwatch,
) -> Pretrained:
    message = partial(notify, callbacks, "on_message")
    with recorded(run, "pretrain", message):
        for warning in warnings:
            message(warning)
        images = _images(recipe, backbone, manifest)
        head, objective = _task(recipe, backbone, images)
        monitor = CollapseMonitor(images.held_out)
        trainer = Trainer(
            Model(backbone, head, Pretext(objective)),
            pretraining_plan(backbone, recipe.training.epochs),
            images,
            options=TrainingOptions(**recipe.training.model_dump(), keep="last"),
            callbacks=[monitor, *callbacks],
            seed=recipe.seed,
            device=recipe.device,
            folder=run.folder,
            resume=resume,
            watch=watch,
        )
        try:
            trainer.train()
        except KeyboardInterrupt:
            if trainer.position.epoch:
                trainer.restore()
                save_backbone(backbone, run.model)
                message(f"The backbone so far is in {run.model}.")
            raise
        backbone.module.cpu()
        save_backbone(backbone, run.model)
        result = _result(run, recipe, backbone, trainer, monitor, warnings, watch)
        run.update(state="done", finished=now(), result=result)
    return Pretrained(run.folder, load_backbone(str(run.folder)), result)


def _images(recipe: PretrainRecipe, backbone: Backbone, manifest: Manifest | None) -> Images:
    preprocess, options = backbone.preprocess, recipe.training
    views = 1 if recipe.method.name == SUPERVISED else 2
    changes = _changes(recipe, backbone)
    if manifest is None:
        kinds = recipe.scenes.model_dump(exclude={"images"})
        return GeneratedImages(
            Scenes(size=preprocess.height, seed=recipe.seed, **kinds),
            preprocess,
            recipe.scenes.images,
            batch_size=options.batch_size,
            augmentation=changes,
            views=views,
            workers=recipe.workers,
        )
    task = Classification(manifest.classes) if views == 1 else None
    train = manifest.subset("train")
    loader = Loader(
        train,
        task,
        preprocess,
        batch_size=options.batch_size,
        augmentation=changes,
        shuffle=True,
        seed=recipe.seed,
        workers=recipe.workers,
        pixels=PixelCache(),
    )
    clean = Loader(
        manifest.subset("val") if views == 1 else train,
        task,
        preprocess,
        batch_size=options.batch_size,
        workers=recipe.workers,
    )
    return FolderImages(loader, clean, views=views)


def _changes(recipe: PretrainRecipe, backbone: Backbone) -> Augmentation | None:
    if recipe.data.augment == "simclr":
        side = min(backbone.preprocess.height, backbone.preprocess.width)
        return simclr_augmentation(side, COLOUR)
    return augmentation(recipe.data.augment or "none")


def _task(
    recipe: PretrainRecipe, backbone: Backbone, images: Images
) -> tuple[nn.Module, Objective]:
    method = recipe.method
    if method.name == SUPERVISED:
        names = tuple(images.factors)
        heads = FactorHeads(backbone.width, images.factors, taught=method.taught, seed=recipe.seed)
        return heads, Factors(names)
    assert method.name is not None, "completed"
    widths = projector_widths(method.name, backbone.width)
    return make_projector(backbone.width, widths, seed=recipe.seed), BetweenViews(_loss(method))


def _loss(method: MethodOptions) -> PairLoss:
    if method.name == "simclr":
        return NTXent(method.temperature)
    if method.name == "barlow-twins":
        return BarlowTwins(method.redundancy)
    return VICReg(method.invariance, method.variance, method.covariance)


def _result(
    run: Run,
    recipe: PretrainRecipe,
    backbone: Backbone,
    trainer: Trainer,
    monitor: CollapseMonitor,
    warnings: list[str],
    watch: Stopwatch,
) -> dict[str, Any]:
    assert monitor.collapse is not None, "measured at the end of training"
    return {
        "run": str(run.folder),
        "backbone": backbone.name,
        "method": recipe.method.name,
        "start": recipe.backbone.start,
        "data": recipe.data.path or "generated",
        "epochs": trainer.position.epoch,
        "images_per_epoch": len(trainer.train_loader) * recipe.training.batch_size,
        "parameters": sum(p.numel() for p in backbone.module.parameters()),
        "known": trainer.history[-1]["known"],
        "spread": monitor.collapse.std,
        "effective_rank": monitor.collapse.rank,
        "collapse": monitor.collapse.message,
        "seconds": watch.seconds(["data", "train", "evaluate"]),
        "warnings": warnings,
    }
