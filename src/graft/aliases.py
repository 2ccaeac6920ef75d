"""Names that courses and other libraries use for what Graft calls otherwise, as data.

One table for each option whose values have such names, one for options, one for commands, and sets
of options that go by one name. `graft.config` translates with them wherever a value comes from, and
says so in a line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from graft.calls import (
    IGNORED,
    UNSET,
    Parameter,
    Translation,
    Word,
    parse_call,
    spelling,
    split_calls,
    translate,
)
from graft.errors import RecipeError


def _pair(value: Any) -> tuple[float, float]:
    if isinstance(value, tuple | list) and len(value) == 2:
        return float(value[0]), float(value[1])
    raise ValueError(f"{value!r} is not a pair of numbers")


def _around(middle: float) -> Any:
    """Return what reads a number, or a pair that lies evenly about the middle, as its reach."""

    def reach(value: Any) -> float:
        if isinstance(value, int | float):
            return float(value)
        low, high = _pair(value)
        if abs((low + high) / 2 - middle) > 1e-9:
            raise ValueError(f"{value!r} does not lie evenly about {middle:g}")
        return high - middle

    return reach


def _proportions(value: Any) -> float:
    low, high = _pair(value)
    if low <= 0 or abs(low * high - 1) > 0.02:
        raise ValueError(f"the proportions {value!r} are not one number and its inverse")
    return high


def _side(value: Any) -> int:
    sides = set(value) if isinstance(value, tuple | list) else {value}
    if len(sides) != 1 or not all(isinstance(side, int) for side in sides):
        raise ValueError(f"{value!r} is not the side of a square in pixels")
    return int(sides.pop())


STRATEGIES: Mapping[str, Word] = {
    spelling(theirs): Word(ours)
    for ours, names in {
        "probe": "feature-extraction, feature-extractor, linear-probe, linear-probing, frozen",
        "full": "fine-tuning, finetuning, fine-tune, full-fine-tuning, lp-ft",
        "partial": "partial-fine-tuning, last-block",
        "gradual": "gradual-unfreezing, layer-wise-unfreezing, progressive-unfreezing",
        "scratch": "from-scratch, random-initialization",
    }.items()
    for theirs in names.split(", ")
}
OPTIMIZERS: Mapping[str, Word] = {
    "sgd": Word(
        "sgd",
        {
            "lr": Parameter("lr"),
            "momentum": Parameter("momentum", 0.0),
            "dampening": Parameter(None, 0),
            "weight_decay": Parameter("weight_decay", 0.0),
            "nesterov": Parameter("nesterov"),
        },
    ),
    **{
        name: Word(
            name,
            {
                "lr": Parameter("lr"),
                "betas": Parameter(None, (0.9, 0.999)),
                "eps": Parameter(None, 1e-8),
                "weight_decay": Parameter("weight_decay", decay),
                "amsgrad": Parameter(None, False),
            },
        )
        for name, decay in (("adam", 0.0), ("adamw", 0.01))
    },
}
SCHEDULES: Mapping[str, Word] = {
    **{
        spelling(name): Word(name, {own: Parameter(own) for own in (*numbers, "warmup")})
        for name, numbers in {
            "constant": (),
            "step": ("step_every", "step_factor", "step_at"),
            "cosine": ("cosine_epochs", "min_lr"),
            "warm-restarts": ("restart_every", "restart_mult", "min_lr"),
            "one-cycle": (),
            "plateau": ("patience", "step_factor", "min_lr"),
        }.items()
    },
    "steplr": Word(
        "step", {"step_size": Parameter("step_every"), "gamma": Parameter("step_factor", 0.1)}
    ),
    "multisteplr": Word(
        "step", {"milestones": Parameter("step_at"), "gamma": Parameter("step_factor", 0.1)}
    ),
    "exponentiallr": Word(
        "step", {"gamma": Parameter("step_factor"), "step_size": Parameter("step_every", 1)}
    ),
    "cosineannealinglr": Word(
        "cosine", {"T_max": Parameter("cosine_epochs"), "eta_min": Parameter("min_lr", 0.0)}
    ),
    "cosineannealingwarmrestarts": Word(
        "warm-restarts",
        {
            "T_0": Parameter("restart_every"),
            "T_mult": Parameter("restart_mult", 1),
            "eta_min": Parameter("min_lr", 0.0),
        },
    ),
    "onecyclelr": Word(
        "one-cycle",
        {
            "max_lr": Parameter("lr"),
            "total_steps": IGNORED,
            "epochs": IGNORED,
            "steps_per_epoch": IGNORED,
            "pct_start": Parameter(None, 0.3),
            "anneal_strategy": Parameter(None, "cos"),
            "div_factor": Parameter(None, 25),
            "final_div_factor": Parameter(None, 1e4),
        },
    ),
    "reducelronplateau": Word(
        "plateau",
        {
            "mode": IGNORED,
            "factor": Parameter("step_factor", 0.1),
            "patience": Parameter("patience", 10),
            "threshold": Parameter(None, 1e-4),
            "threshold_mode": Parameter(None, "rel"),
            "cooldown": Parameter(None, 0),
            "min_lr": Parameter("min_lr", 0.0),
        },
    ),
    "none": Word("constant"),
}
IMAGE_SIZE = "image_size"
"""What the first argument of a crop sets besides the transform."""

AUGMENTATIONS: Mapping[str, Word] = {
    "randomresizedcrop": Word(
        "crop",
        {
            "size": Parameter(IMAGE_SIZE, UNSET, _side),
            "scale": Parameter("scale", (0.08, 1.0), _pair),
            "ratio": Parameter("ratio", UNSET, _proportions),
            "interpolation": IGNORED,
            "antialias": IGNORED,
        },
    ),
    "randomhorizontalflip": Word("hflip", {"p": Parameter("p", 0.5)}),
    "randomverticalflip": Word("vflip", {"p": Parameter("p", 0.5)}),
    "randomrotation": Word(
        "rotation",
        {
            "degrees": Parameter("degrees", UNSET, _around(0)),
            "interpolation": IGNORED,
            "expand": Parameter(None, False),
            "center": Parameter(None, None),
            "fill": IGNORED,
        },
    ),
    "colorjitter": Word(
        "jitter",
        {
            **{
                name: Parameter(name, 0.0, _around(1))
                for name in ("brightness", "contrast", "saturation")
            },
            "hue": Parameter("hue", 0.0, _around(0)),
        },
    ),
    "randomgrayscale": Word("grayscale", {"p": Parameter("p", 0.1)}),
    "gaussianblur": Word(
        "blur",
        {
            "kernel_size": IGNORED,
            "sigma": Parameter("sigma", 2.0, lambda value: _pair(value)[1]),
            "p": Parameter("p", 1.0),
        },
    ),
    "randomerasing": Word(
        "erasing",
        {
            "p": Parameter("p", 0.5),
            "scale": Parameter("scale", (0.02, 0.33), _pair),
            "ratio": Parameter(None, (0.3, 3.3)),
            "value": Parameter("noise", 0, lambda value: int(value == "random")),
            "inplace": IGNORED,
        },
    ),
    "cutout": Word("cutout", {"length": Parameter("length", 16), "n_holes": Parameter("holes", 1)}),
    "randaugment": Word(
        "randaugment",
        {
            "num_ops": Parameter("operations", 2),
            "magnitude": Parameter("magnitude", 9),
            "num_magnitude_bins": Parameter(None, 31),
        },
    ),
    **dict.fromkeys(("resize", "centercrop", "totensor", "piltotensor", "normalize"), Word(None)),
}
PLACES: Mapping[str, tuple[str, ...]] = {
    "crop": ("scale", "ratio"),
    "hflip": ("p",),
    "vflip": ("p",),
    "rotation": ("degrees",),
    "jitter": ("brightness", "contrast", "saturation", "hue"),
    "grayscale": ("p",),
    "blur": ("p", "sigma"),
    "erasing": ("p", "scale", "noise"),
    "cutout": ("length", "holes"),
    "randaugment": ("operations", "magnitude"),
}
"""The numbers of a transform in order; a pair fills two places."""

OPTIONS: Mapping[str, str] = {
    "learning_rate": "lr",
    "num_epochs": "epochs",
    "arch": "backbone",
    "model": "backbone",
    "scheduler": "schedule",
    "lr_scheduler": "schedule",
    "step_size": "step_every",
    "gamma": "step_factor",
    "milestones": "step_at",
    "t_max": "cosine_epochs",
    "t_0": "restart_every",
    "t_mult": "restart_mult",
    "eta_min": "min_lr",
    "transform": "augment",
    "limit_per_class": "per_class",
}
"""Options of other libraries and courses, by ours."""

MISSING: Mapping[str, tuple[str, str]] = {
    "strategy auto": (
        "No strategy is chosen by itself.",
        "`graft zoo --suggest DIR` names one that suits so many images, with the reason; without "
        "--strategy it is probe.",
    ),
    "cutmix": (
        "CutMix is not there.",
        "--mixup 0.2 mixes whole images; --augment cutout hides a square of each.",
    ),
    "augment cutmix": (
        "CutMix is not there.",
        "--mixup 0.2 mixes whole images; --augment cutout hides a square of each.",
    ),
    "augment mixup": ("Mixup is an option of its own.", "Write --mixup 0.2."),
}
"""What is asked for and not there, with the line that does what is nearest."""

COMMANDS: Mapping[str, str] = {
    "train": "fit",
    "finetune": "fit",
    "fine-tune": "fit",
    "eval": "evaluate",
    "test": "evaluate",
    "classify": "predict",
    "models": "zoo",
}
"""Commands by other names."""

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "tutorial": {
        "backbone.name": "resnet18@IMAGENET1K_V1",
        "data.augment": "crop(0.08),hflip",
        "strategy.head_start": "random",
        "strategy.decay": 1.0,
        "strategy.batch_norm": "train",
        "training.epochs": 25,
        "training.batch_size": 4,
        "training.optimizer": "sgd",
        "training.lr": 0.001,
        "training.momentum": 0.9,
        "training.weight_decay": 0.0,
        "training.schedule": "step",
        "training.step_every": 7,
        "training.step_factor": 0.1,
        "training.label_smoothing": 0.0,
        "training.views": 25,
    }
}
"""Options that belong together, by name; whatever else is given beats them.

`tutorial` is the listing of the transfer-learning tutorial on ants and bees (Chilamkurthy 2017):
`--strategy full` is its fine-tuning, `--strategy probe` its feature extraction. What is frozen
keeps its BatchNorm statistics, which the listing lets drift.
"""


def _one_word(words: Mapping[str, Word], option: str) -> Callable[[str], Translation | None]:
    """Return what reads an option whose value is one name, perhaps with arguments."""

    def read(text: str) -> Translation | None:
        name = spelling(text.partition("(")[0].rpartition(".")[2])
        if f"{option} {name}" in MISSING:
            raise RecipeError(*MISSING[f"{option} {name}"])
        if name not in words:
            return None
        done_anyway = words[name].name is None
        return Translation(None, {}, {}) if done_anyway else translate(parse_call(text), words)

    return read


def _augmentation(text: str) -> Translation | None:
    """Read a list of transforms, torchvision's among them."""
    ours, says = [], {}
    read, parts = _one_word(AUGMENTATIONS, "augment"), split_calls(text)
    for part in parts:
        found = read(part)
        if found is None:
            ours.append(part)
            continue
        values = {**found.defaults, **found.given}
        if IMAGE_SIZE in values:
            says[IMAGE_SIZE] = values.pop(IMAGE_SIZE)
        numbers: list[Any] = []
        for place in PLACES.get(found.name or "", ()):
            if place not in values:
                break
            value = values[place]
            numbers += value if isinstance(value, tuple) else [value]
        if found.name is not None:
            inside = ",".join(f"{float(number):.12g}" for number in numbers)
            ours.append(f"{found.name}({inside})" if numbers else found.name)
    return None if ours == parts else Translation(",".join(ours) or "none", says, {})


WORDS: Mapping[str, Callable[[str], Translation | None]] = {
    "strategy.name": _one_word(STRATEGIES, "strategy"),
    "training.optimizer": _one_word(OPTIMIZERS, "optimizer"),
    "training.schedule": _one_word(SCHEDULES, "schedule"),
    "data.augment": _augmentation,
}
"""What reads the options whose values have names elsewhere, by their paths; None where a value is
Graft's own."""


def is_weights_name(weights: str) -> bool:
    """Whether published weights may have such a name, as "IMAGENET1K_V1"; else it is a file's.

    Example:
        >>> is_weights_name("ResNet18_Weights.DEFAULT"), is_weights_name("weights.pth")
        (True, False)
    """
    return re.fullmatch(r"[A-Za-z]\w{,99}(\.[A-Z]\w{,99})?", weights) is not None


def published_weights(weights: str, backbone: str | None) -> str:
    """Return the backbone's name with published weights.

    Args:
        weights: Their name, perhaps with the class that torchvision has for them.
        backbone: Whose they are; None where the class says it.

    Raises:
        RecipeError: There is no backbone that they could be of, or it names others.

    Example:
        >>> published_weights("IMAGENET1K_V1", "resnet18")
        'resnet18@IMAGENET1K_V1'
        >>> published_weights("MobileNet_V2_Weights.DEFAULT", None)
        'mobilenet_v2@DEFAULT'
    """
    kind, _, member = weights.rpartition(".")
    if backbone is None and kind.endswith("_Weights"):
        backbone = kind.removesuffix("_Weights").lower()
    if backbone is None:
        raise RecipeError(
            f"--weights {weights} is no file, and published weights belong to a backbone.",
            f"Write --backbone NAME --weights {weights}, such as resnet18, or give a file.",
        )
    if "@" in backbone:
        raise RecipeError(
            f"--backbone {backbone} names its weights, and --weights {weights} is given as well.",
            "Leave one of them out; --weights takes the path of a file, too.",
        )
    return f"{backbone}@{member}"
