"""Backbones from torchvision, with the preprocessing and facts of its weights enums."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlparse

from torch import Tensor, nn
from torchvision import models

from graft.backbones.backbone import Provenance
from graft.backbones.providers import ModelInfo
from graft.backbones.weights import cached_download
from graft.data.preprocess import Preprocess
from graft.errors import BackboneError, nearest
from graft.structured import canonical, shown

interpolate_embeddings = models.vision_transformer.interpolate_embeddings

# What the published weights were trained with, where it is not the builder's default. The auxiliary
# classifiers of the Inception family only serve training from scratch and are left out.
INCEPTION = {"aux_logits": False, "transform_input": True, "init_weights": False}
OPTIONS: dict[str, dict[str, Any]] = {"googlenet": INCEPTION, "inception_v3": INCEPTION}
AUXILIARY = re.compile(r"(aux1|aux2|AuxLogits)\.")

# Architectures whose parameters depend on the size of the image.
VISION_TRANSFORMER = re.compile(r"vit_")
MAX_VIT = re.compile(r"maxvit_")

# Published files still use names that the modules have given up.
RENAMED = (
    (re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\."), r"\1\2."),
    (re.compile(r"(encoder_layer_\d+\.mlp)\.linear_1\."), r"\1.0."),
    (re.compile(r"(encoder_layer_\d+\.mlp)\.linear_2\."), r"\1.3."),
)


def names() -> Sequence[str]:
    """Return the names of torchvision's classification models."""
    return tuple(models.list_models(module=models))


def model_info(
    name: str, weights: str | None, image_size: int | None, file: Path | None
) -> ModelInfo:
    """Return what torchvision knows about a model; see `Provider.model_info`.

    A local file whose name is that of published weights takes their preprocessing; one with
    another name takes that of the first weights that were published.

    Example:
        >>> found = model_info("resnet50", None, None, None)
        >>> found.name, found.provenance.weights, found.preprocess.image_size
        ('torchvision:resnet50', 'IMAGENET1K_V2', (224, 224))
    """
    if name not in names():
        raise BackboneError(
            f"torchvision has no backbone '{name}'.", f"Nearest: {nearest(name, names())}."
        )
    published = models.get_model_weights(name)
    chosen = _choose(name, published, weights, file)
    preset = chosen.transforms()
    [crop] = preset.crop_size
    [resize] = preset.resize_size
    preprocess = Preprocess(
        crop,
        resize=resize,
        interpolation=preset.interpolation.value,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )
    if image_size:
        preprocess = preprocess.with_image_size(image_size)
    return ModelInfo(
        name=f"torchvision:{name}",
        architecture={"name": name, "options": _options(name, preprocess)},
        preprocess=preprocess,
        provenance=Provenance(
            provider="torchvision",
            weights=chosen.name,
            source=chosen.url,
            licence=chosen.meta.get("license", "BSD-3-Clause"),
            top1=chosen.meta["_metrics"]["ImageNet-1K"]["acc@1"],
        ),
        fetch=partial(cached_download, chosen.url),
        classes=lambda: tuple(chosen.meta["categories"]),
    )


def build(architecture: Mapping[str, Any]) -> nn.Module:
    """Return the network with random weights; see `Provider.build`."""
    network: nn.Module = models.get_model(
        architecture["name"], weights=None, **architecture["options"]
    )
    return network


def adapt(state: Mapping[str, Tensor], architecture: Mapping[str, Any]) -> dict[str, Tensor]:
    """Rename old keys, drop auxiliary classifiers, resize position embeddings.

    Example:
        >>> import torch
        >>> old = {"features.denseblock1.denselayer1.norm.1.weight": torch.ones(1)}
        >>> list(adapt(old, {"name": "densenet121", "options": {}}))
        ['features.denseblock1.denselayer1.norm1.weight']
    """
    adapted = {
        _renamed(key): value
        for key, value in state.items()
        if not (architecture["name"] in OPTIONS and AUXILIARY.match(key))
    }
    if VISION_TRANSFORMER.match(architecture["name"]) and "conv_proj.weight" in adapted:
        patch = adapted["conv_proj.weight"].shape[-1]
        adapted = interpolate_embeddings(architecture["options"]["image_size"], patch, adapted)
    return adapted


def check(name: str, architecture: Mapping[str, Any], preprocess: Preprocess) -> None:
    """Refuse what `model_info` does not write; see `Provider.check`.

    Example:
        >>> check("resnet18", {"name": "resnet18", "weights": "x"}, Preprocess(64))
        Traceback (most recent call last):
        ValueError: {'name': 'resnet18', 'weights': 'x'} is not torchvision's 'resnet18'
    """
    if name not in names():
        raise ValueError(f"torchvision has no network {shown(name)}")
    expected = {"name": name, "options": _options(name, preprocess)}
    if canonical(architecture) != canonical(expected):
        raise ValueError(f"{shown(architecture)} is not torchvision's {shown(name)}")


def _renamed(key: str) -> str:
    for old, new in RENAMED:
        key = old.sub(new, key)
    return key


def _choose(name: str, published: Any, weights: str | None, file: Path | None) -> Any:
    """Return the member of a weights enum that was asked for, or that fits the local file."""
    if weights:
        if weights not in (*published.__members__, "DEFAULT"):
            raise BackboneError(
                f"'{name}' has no weights '{weights}'.",
                f"It has {', '.join(published.__members__)}.",
            )
        return published[weights]
    if file is None:
        return published.DEFAULT
    members = list(published)
    return next((member for member in members if _file_name(member.url) == file.name), members[0])


def _file_name(url: str) -> str:
    return PurePosixPath(urlparse(url).path).name


def _options(name: str, preprocess: Preprocess) -> dict[str, Any]:
    """Return the builder's options, which include the image size where parameters depend on it."""
    options = dict(OPTIONS.get(name, {}))
    if VISION_TRANSFORMER.match(name):
        options["image_size"] = preprocess.height
    if MAX_VIT.match(name):
        options["input_size"] = [preprocess.height, preprocess.width]
    return options
