"""Graft: transfer learning for people who have a folder of images and a problem.

Names load when they are first used, so that `import graft` costs nothing.

Example:
    >>> import graft
    >>> fitted = graft.fit("photos", backbone="resnet18", strategy="full")  # doctest: +SKIP
    >>> graft.load("runs/photos").predict("photo.jpg")[0].label  # doctest: +SKIP
    'ants'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from graft.backbones.backbone import Backbone
    from graft.backbones.load import load_backbone
    from graft.config import Recipe
    from graft.data.augment import augmentation
    from graft.data.check import check
    from graft.data.decode import decode
    from graft.data.loader import Loader
    from graft.data.manifest import Manifest, assign_splits
    from graft.data.preprocess import Preprocess
    from graft.data.scan import scan
    from graft.heads.linear import LinearHead
    from graft.inference import Predictor
    from graft.model import Classifier, Model, load
    from graft.samples import write_samples
    from graft.strategies import Phase, Plan, StrategyOptions, make_plan
    from graft.tasks import (
        Classification,
        CrossEntropy,
        Mixup,
        Multilabel,
        Objective,
        Prediction,
        Regression,
        Task,
    )
    from graft.training import Callback, Trainer
    from graft.workflows.demo import demo
    from graft.workflows.evaluate import evaluate
    from graft.workflows.fit import Fit, fit
    from graft.workflows.predict import predict
    from graft.workflows.pretrain import Pretrained, pretrain
    from graft.workflows.zoo import list_models
    from graft.zoo.catalogue import ZooEntry
    from graft.zoo.description import describe

_ROOMS = {
    "graft.backbones.backbone": ("Backbone",),
    "graft.backbones.load": ("load_backbone",),
    "graft.config": ("Recipe",),
    "graft.data.augment": ("augmentation",),
    "graft.data.check": ("check",),
    "graft.data.decode": ("decode",),
    "graft.data.loader": ("Loader",),
    "graft.data.manifest": (
        "Manifest",
        "assign_splits",
    ),
    "graft.data.preprocess": ("Preprocess",),
    "graft.data.scan": ("scan",),
    "graft.heads.linear": ("LinearHead",),
    "graft.inference": ("Predictor",),
    "graft.model": (
        "Classifier",
        "Model",
        "load",
    ),
    "graft.samples": ("write_samples",),
    "graft.strategies": (
        "Phase",
        "Plan",
        "StrategyOptions",
        "make_plan",
    ),
    "graft.tasks": (
        "Classification",
        "CrossEntropy",
        "Mixup",
        "Multilabel",
        "Objective",
        "Prediction",
        "Regression",
        "Task",
    ),
    "graft.training": (
        "Callback",
        "Trainer",
    ),
    "graft.workflows.demo": ("demo",),
    "graft.workflows.evaluate": ("evaluate",),
    "graft.workflows.fit": (
        "Fit",
        "fit",
    ),
    "graft.workflows.predict": ("predict",),
    "graft.workflows.pretrain": (
        "Pretrained",
        "pretrain",
    ),
    "graft.workflows.zoo": ("list_models",),
    "graft.zoo.catalogue": ("ZooEntry",),
    "graft.zoo.description": ("describe",),
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "Backbone",
    "Callback",
    "Classification",
    "Classifier",
    "CrossEntropy",
    "Fit",
    "LinearHead",
    "Loader",
    "Manifest",
    "Mixup",
    "Model",
    "Multilabel",
    "Objective",
    "Phase",
    "Plan",
    "Prediction",
    "Predictor",
    "Preprocess",
    "Pretrained",
    "Recipe",
    "Regression",
    "StrategyOptions",
    "Task",
    "Trainer",
    "ZooEntry",
    "__version__",
    "assign_splits",
    "augmentation",
    "check",
    "decode",
    "demo",
    "describe",
    "evaluate",
    "fit",
    "list_models",
    "load",
    "load_backbone",
    "make_plan",
    "predict",
    "pretrain",
    "scan",
    "write_samples",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its room when it is first used (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'graft' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *_HOME})
