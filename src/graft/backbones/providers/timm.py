"""Backbones from timm, with the facts of its pretrained configurations."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data import ImageNetInfo, infer_imagenet_subset
from timm.models import PretrainedCfg, get_pretrained_cfg, is_model, list_models, list_pretrained
from torch import Tensor, nn

from graft.backbones.backbone import Provenance
from graft.backbones.providers import ModelInfo
from graft.backbones.weights import cached_download
from graft.data.preprocess import Preprocess
from graft.errors import BackboneError, nearest
from graft.hub import hub_file
from graft.structured import canonical, shown

FILES = ("model.safetensors", "pytorch_model.bin")
MOST_CLASSES = 200_000
"""Classes that published weights have; the most are 115,217."""

ANY_CLASSES = 1000
"""Classes of a network whose weights come without a classifier; the layer is taken off anyway."""


def names() -> Sequence[str]:
    """Return the names of timm's models, without the tags of their weights."""
    return tuple(list_models())


def model_info(
    name: str, weights: str | None, image_size: int | None, file: Path | None
) -> ModelInfo:
    """Return what timm knows about a model; see `Provider.model_info`.

    Args:
        name: "resnet18", or "resnet18.a1_in1k" with the tag of its weights.
        weights: The tag, where `name` has none.
        image_size: As in `Provider.model_info`.
        file: As in `Provider.model_info`.

    Example:
        >>> found = model_info("resnet18.a1_in1k", None, None, None)
        >>> found.name, found.preprocess.resize, found.provenance.licence
        ('timm:resnet18.a1_in1k', 235, 'apache-2.0')
    """
    architecture, _, tag = name.partition(".")
    facts = _facts(architecture, tag or weights or "")
    preprocess = _preprocess(architecture, facts)
    if image_size:
        preprocess = preprocess.with_image_size(image_size)
    options: dict[str, Any] = {"num_classes": facts.num_classes or ANY_CLASSES}
    if facts.fixed_input_size:
        options["img_size"] = [preprocess.height, preprocess.width]
    return ModelInfo(
        name=f"timm:{architecture}" + (f".{facts.tag}" if facts.tag else ""),
        architecture={"name": architecture, "options": options},
        preprocess=preprocess,
        provenance=Provenance(
            provider="timm",
            weights=facts.tag,
            source=f"https://huggingface.co/{facts.hf_hub_id}" if facts.hf_hub_id else facts.url,
            licence=facts.license,
        ),
        fetch=_fetch(facts),
        classes=_classes(facts),
    )


def build(architecture: Mapping[str, Any]) -> nn.Module:
    """Return the network with random weights; see `Provider.build`."""
    network: nn.Module = timm.create_model(
        architecture["name"], pretrained=False, **architecture["options"]
    )
    return network


def adapt(state: Mapping[str, Tensor], architecture: Mapping[str, Any]) -> dict[str, Tensor]:
    """Let timm convert old names and resize position embeddings, where the state needs it.

    A state that timm refuses is returned unchanged; the caller reports how it differs.
    """
    with torch.device("meta"):
        try:
            skeleton = build(architecture)
        except Exception:  # some networks compute with values while they are built
            skeleton = None
    facts = get_pretrained_cfg(architecture["name"])
    layers = [facts.classifier] if isinstance(facts.classifier, str) else facts.classifier or []
    own = skeleton.state_dict() if skeleton is not None else {}
    heads = tuple(f"{layer}." for layer in layers)
    backbone = {key for key in own if not (heads and key.startswith(heads))}
    if backbone and all(key in state and state[key].shape == own[key].shape for key in backbone):
        return dict(state)
    options = dict(architecture["options"])
    if layers and f"{layers[0]}.weight" in state:
        options["num_classes"] = state[f"{layers[0]}.weight"].shape[0]
    overlay = {"state_dict": dict(state), "num_classes": options["num_classes"]}
    try:
        converted = timm.create_model(
            architecture["name"], pretrained=True, pretrained_cfg_overlay=overlay, **options
        )
    except Exception:  # timm's converters raise anything; loading will name what does not fit
        return dict(state)
    result: dict[str, Tensor] = converted.state_dict()
    return result


def check(name: str, architecture: Mapping[str, Any], preprocess: Preprocess) -> None:
    """Refuse what `model_info` does not write; see `Provider.check`.

    timm takes keyword arguments that name files to load, and names that lead to a hub; none of
    them is among the two options that a model needs.

    Example:
        >>> hostile = {"name": "resnet18", "options": {"checkpoint_path": "x.pth"}}
        >>> check("resnet18.a1_in1k", hostile, Preprocess(64))
        Traceback (most recent call last):
        ValueError: timm's networks have no option 'checkpoint_path' here
    """
    if set(architecture) != {"name", "options"} or not isinstance(architecture["options"], dict):
        raise ValueError(f"{shown(architecture)} is not a name and options")
    plain, options = architecture["name"], architecture["options"]
    if not isinstance(plain, str) or plain != name.partition(".")[0] or not _is_plain(plain):
        raise ValueError(f"timm has no network {shown(plain)} for {shown(name)}")
    for option in options:
        if option not in ("num_classes", "img_size"):
            raise ValueError(f"timm's networks have no option {shown(option)} here")
    classes, size = options.get("num_classes"), options.get("img_size", preprocess.image_size)
    if type(classes) is not int or not 1 <= classes <= MOST_CLASSES:
        raise ValueError(f"the published classifier had {shown(classes)} classes")
    if canonical(size) != canonical(preprocess.image_size):
        raise ValueError(f"the network is for images of {shown(size)} pixels, the images are not")


def _is_plain(name: str) -> bool:
    """Whether a name is one of timm's own, and not the address of something else."""
    return re.fullmatch(r"[a-z0-9_]+", name) is not None and is_model(name)


def _facts(architecture: str, tag: str) -> PretrainedCfg:
    """Return the configuration of one model's weights."""
    if not is_model(architecture):
        raise BackboneError(
            f"timm has no backbone '{architecture}'.", f"Nearest: {nearest(architecture, names())}."
        )
    found = get_pretrained_cfg(architecture)
    if tag and found.tag != tag:
        tags = [full.partition(".")[2] for full in list_pretrained(f"{architecture}.*")]
        if tag not in tags:
            raise BackboneError(
                f"timm's '{architecture}' has no weights '{tag}'.",
                f"It has {', '.join(tags) or 'none'}.",
            )
        found = get_pretrained_cfg(f"{architecture}.{tag}")
    return found


def _preprocess(architecture: str, facts: PretrainedCfg) -> Preprocess:
    """Return what timm's evaluation transform does with these facts."""
    _, height, width = facts.input_size
    scaled = [math.floor(side / facts.crop_pct) for side in (height, width)]
    squash = facts.crop_mode == "squash" and scaled == [height, width]
    covers = facts.crop_mode == "center" or scaled == [height, width]
    if not (squash or (covers and facts.crop_mode != "squash" and height == width)):
        raise BackboneError(
            f"The weights of timm's '{architecture}' take images of {height} x {width} pixels with "
            f"crop '{facts.crop_mode}' of {facts.crop_pct:g}, which cannot be prepared alike here.",
            "Choose other weights or another backbone.",
        )
    return Preprocess(
        (height, width),
        resize=None if squash else min(scaled),
        crop="squash" if squash else "center",
        interpolation=facts.interpolation,
        mean=tuple(facts.mean),
        std=tuple(facts.std),
    )


def _fetch(facts: PretrainedCfg) -> Callable[[], Path] | None:
    """Return how to get the file of the weights, None if there is none that can be read here."""
    if facts.hf_hub_id:
        wanted = (facts.hf_hub_filename,) if facts.hf_hub_filename else FILES
        return partial(hub_file, facts.hf_hub_id, *wanted)
    readable = (".pth", ".pt", ".bin", ".safetensors")
    if facts.url and facts.url.endswith(readable) and not facts.custom_load:
        return partial(cached_download, facts.url)
    return None


def _classes(facts: PretrainedCfg) -> Callable[[], Sequence[str]] | None:
    """Return how to get the names of the classes, None if they are not ImageNet's."""
    subset = infer_imagenet_subset({"num_classes": facts.num_classes})
    if subset is None:
        return None

    def names() -> Sequence[str]:
        # WordNet lists the words for one thing, the usual one first.
        return [words.partition(",")[0] for words in ImageNetInfo(subset).label_descriptions()]

    return names
