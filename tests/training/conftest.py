"""A network small enough to train in a second, with everything that makes freezing hard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from graft.backbones.backbone import Backbone, Provenance, Stage
from graft.config import TrainingOptions
from graft.data.loader import Loader
from graft.data.manifest import Manifest
from graft.data.preprocess import Preprocess
from graft.data.scan import scan
from graft.heads.linear import LinearHead
from graft.model import Classifier
from graft.strategies import Plan, StrategyOptions, make_plan
from graft.training import Trainer

STAGES = ("stem", "stage1", "stage2")


def state(trainer: Trainer) -> dict[str, Tensor]:
    """Return a copy of everything that a trainer's classifier holds."""
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers = nn.Conv2d(inputs, outputs, 3, 2, 1), nn.BatchNorm2d(outputs), nn.ReLU()
    return nn.Sequential(*layers, nn.Dropout(0.2))


def tiny_backbone(seed: int = 0) -> Backbone:
    """Three stages with BatchNorm and drop-out, 16 pixels wide."""
    torch.manual_seed(seed)
    module = nn.Sequential(
        _block(3, 8), _block(8, 12), _block(12, 16), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    stages = tuple(
        Stage(
            name,
            (str(index),),
            tuple(f"{index}.{key}" for key, _ in module[index].named_parameters()),
            tuple(f"{index}.{key}" for key, _ in module[index].named_buffers()),
            (),
        )
        for index, name in enumerate(STAGES)
    )
    preprocess = Preprocess(16, mean=(0.5,) * 3, std=(0.25,) * 3)
    return Backbone("tests:tiny", module, stages, 16, preprocess, 0.0, Provenance("tests"), {}, ())


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Three classes of coloured noise, 14 images each to train on and 8 to validate."""
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    colours = {"blue": (60, 60, 150), "green": (60, 130, 60), "red": (130, 70, 60)}
    for label, colour in colours.items():
        for split, count in (("train", 14), ("val", 8)):
            folder = root / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                noise = rng.normal(colour, 60, (16, 16, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(noise).save(folder / f"{number}.png")
    return scan(root)


MakeTrainer = Callable[..., Trainer]


@pytest.fixture
def make_trainer(manifest: Manifest) -> MakeTrainer:
    """Make a trainer of the tiny network for a strategy."""

    def make(
        strategy: str = "full",
        *,
        epochs: int = 2,
        plan: Plan | None = None,
        strategy_options: StrategyOptions | None = None,
        folder: Path | None = None,
        seed: int = 0,
        workers: int | None = None,
        trainer: dict[str, object] | None = None,
        **options: object,
    ) -> Trainer:
        backbone = tiny_backbone()
        classifier = Classifier(backbone, LinearHead(16, 3, seed=seed), manifest.classes)
        settings = TrainingOptions(**{"batch_size": 8, "lr": 0.02, **options})
        plan = plan or make_plan(strategy, STAGES, epochs=epochs, lr=0.02, options=strategy_options)
        train = Loader(
            manifest.subset("train"),
            classifier.task,
            backbone.preprocess,
            batch_size=settings.batch_size,
            shuffle=True,
            seed=seed,
            workers=workers,
        )
        val = classifier.loader(manifest.subset("val"))
        if folder:
            folder.mkdir(exist_ok=True)
        return Trainer(
            classifier,
            plan,
            train,
            val,
            options=settings,
            seed=seed,
            device="cpu",
            folder=folder,
            **(trainer or {}),
        )

    return make
