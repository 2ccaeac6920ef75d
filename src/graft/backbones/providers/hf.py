"""Backbones in Hugging Face format: `AutoModelForImageClassification` and its image processor.

A name is "organisation/name" on the hub, or a local folder with `config.json`,
`preprocessor_config.json` and safetensors weights. Only transformers' own classes are built; code
that comes with a repository never runs, and pickled weights are not read.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, float32, nn
from transformers import CONFIG_MAPPING, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING
from transformers.utils import logging

from graft.backbones.backbone import Provenance
from graft.backbones.providers import ModelInfo
from graft.backbones.providers.hf_processor import read_processor
from graft.data.preprocess import Preprocess
from graft.errors import BackboneError, DataError, nearest
from graft.hub import hub_file
from graft.structured import canonical, parse_json, read_text, shown

WRAPPED = "model"  # where `Logits` has the network of transformers
CONFIG, PROCESSOR = "config.json", "preprocessor_config.json"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
# Of the options that every configuration has, those that define the network. The others name
# classes, which are the user's own, or would choose code, kernels or number formats.
KEPT = frozenset({"architectures", "model_type", "num_labels"})
COMMON = frozenset(inspect.signature(PreTrainedConfig).parameters)
# Options of some types that would bring in a network of another library, or its weights.
OTHER_NETWORKS = frozenset(
    {
        "backbone",
        "backbone_config",
        "backbone_kwargs",
        "use_pretrained_backbone",
        "use_timm_backbone",
    }
)
GREATEST = 1 << 20  # number in a configuration
LONGEST = 256  # list in one
WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


class Logits(nn.Module):
    """Gives a transformers model the form of a network: images (N, C, H, W) to logits.

    Args:
        model: An image classifier of transformers.
        interpolate: Resize the position embeddings to the images.
    """

    def __init__(self, model: nn.Module, interpolate: bool) -> None:
        super().__init__()
        self.model = model
        self.options = {"interpolate_pos_encoding": True} if interpolate else {}

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, classes)."""
        logits: Tensor = self.model(pixel_values=images, **self.options).logits
        return logits


def names() -> Sequence[str]:
    """Return nothing: the hub has no end, and is not asked."""
    return ()


def model_info(
    name: str, weights: str | None, image_size: int | None, file: Path | None
) -> ModelInfo:
    """Return the facts of the model in a folder or hub repository; see `Provider.model_info`.

    Args:
        name: "google/vit-base-patch16-224", or a folder.
        weights: Branch, tag or commit of the repository.
        image_size: As in `Provider.model_info`.
        file: As in `Provider.model_info`.
    """
    local = Path(name).is_dir()

    def fetch(*files: str) -> Path:
        if not local:
            return hub_file(name, *files, revision=weights)
        here = [Path(name) / file for file in files if (Path(name) / file).is_file()]
        if not here:
            raise BackboneError(
                f"The folder '{name}' has no {files[0]}.",
                "Save model and image processor into it with save_pretrained().",
            )
        return here[0]

    settings = fetch(CONFIG)
    config = _read(settings)
    preprocess = read_processor(fetch(PROCESSOR))
    if image_size:
        preprocess = preprocess.with_image_size(image_size)
    labels = _labels(config)
    record = {"num_labels": len(labels) or 2, **_known(config, _config_class(config))}
    try:
        _check_config(record)
    except ValueError as error:
        raise DataError(
            f"'{settings}' is not the configuration of an image classifier: {error}.",
            "Save the model again with save_pretrained().",
        ) from error
    return ModelInfo(
        name=f"hf:{Path(name).resolve().name if local else name}",
        architecture={"config": record, "image_size": [preprocess.height, preprocess.width]},
        preprocess=preprocess,
        provenance=Provenance(
            provider="hf",
            weights=weights,
            source=Path(name).name if local else f"https://huggingface.co/{name}",
        ),
        fetch=lambda: fetch(*WEIGHTS),
        classes=(lambda: labels) if labels else None,
    )


def build(architecture: Mapping[str, Any]) -> nn.Module:
    """Return the network with random weights; see `Provider.build`."""
    config = _config(architecture["config"])
    model = _kind(config)(config)
    made_for = getattr(config, "image_size", None)
    made_for = [made_for, made_for] if isinstance(made_for, int) else made_for
    other_size = made_for is not None and list(made_for) != list(architecture["image_size"])
    takes_it = "interpolate_pos_encoding" in inspect.signature(model.forward).parameters
    return Logits(model, other_size and takes_it)


def adapt(state: Mapping[str, Tensor], architecture: Mapping[str, Any]) -> dict[str, Tensor]:
    """Let transformers convert names of earlier releases, and add the wrapper's prefix."""
    config = _config(architecture["config"])
    with _quiet():
        model, report = _kind(config).from_pretrained(
            None,
            config=config,
            state_dict=dict(state),
            dtype=float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    loaded = dict(model.state_dict())
    for key in report["missing_keys"]:
        loaded.pop(key, None)
    for key, given, *_ in report["mismatched_keys"]:
        loaded[key] = state[key] if key in state else loaded[key].new_empty(given)
    loaded.update({key: state[key] for key in report["unexpected_keys"] if key in state})
    return {f"model.{key}": value for key, value in loaded.items()}


def _kind(config: Any) -> Any:
    """Return transformers' own class of image classifiers for a configuration."""
    kind = MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING[type(config)]
    if not isinstance(kind, tuple):
        return kind
    named = [one for one in kind if one.__name__ in (config.architectures or ())]
    return (named or list(kind))[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' own bars and tables from the screen."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def check(name: str, architecture: Mapping[str, Any], preprocess: Preprocess) -> None:
    """Refuse what `model_info` does not write; see `Provider.check`."""
    if set(architecture) != {"config", "image_size"}:
        raise ValueError(f"{shown(architecture)} is not a config and an image size")
    if canonical(architecture["image_size"]) != canonical(preprocess.image_size):
        size = shown(architecture["image_size"])
        raise ValueError(f"the network is for images of {size} pixels, the images are not")
    if not isinstance(architecture["config"], dict):
        raise ValueError("the config is not a mapping")
    _check_config(architecture["config"])


def _check_config(record: Mapping[str, Any]) -> None:
    """Raise a `ValueError` where a record has an option or value that no configuration needs."""
    kind = _config_class(record)
    _check_options(record, kind)
    try:
        kind.from_dict(dict(record))
    except Exception as error:  # configurations check themselves, each in its own way
        reason = " ".join(str(error).split())
        raise ValueError(f"transformers refuses it: {reason[:200].rstrip('.')}") from error


def _config_class(record: Mapping[str, Any]) -> Any:
    """Return transformers' own class of a configuration.

    Raises:
        BackboneError: There is none for images, or it only wraps another library.
    """
    kind = record.get("model_type")
    known = {config.model_type for config in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING}
    if not isinstance(kind, str) or kind not in known:
        raise BackboneError(
            f"transformers has no image classifier of type {shown(kind)}.",
            f"Nearest: {nearest(str(kind)[:80], known)}. Models with code of their own are not "
            "run.",
        )
    if kind == "timm_wrapper":
        raise BackboneError(
            "This repository wraps a model of timm.", "Name it as timm does: timm:NAME.TAG."
        )
    return CONFIG_MAPPING[kind]


def _config(record: Mapping[str, Any]) -> Any:
    """Return transformers' configuration of a record of ours."""
    return _config_class(record).from_dict(dict(record))


def _options(kind: Any) -> frozenset[str]:
    """Return the options of a type of configuration that a record may have."""
    own = {*inspect.signature(kind).parameters, *getattr(kind, "attribute_map", ())}
    return frozenset(own - COMMON - OTHER_NETWORKS | KEPT)


def _parts(kind: Any) -> dict[str, Any]:
    """Return the types of the configurations inside one, but for those of any type."""
    found = getattr(kind, "sub_configs", {})
    return {key: part for key, part in found.items() if part in CONFIG_MAPPING.values()}


def _labels(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the classes that a configuration names, in the order of the logits."""
    labels = config.get("id2label")
    if not isinstance(labels, dict):
        return ()
    in_order = sorted(labels, key=lambda number: (len(number), number))  # "2" before "10"
    return tuple(str(labels[number]) for number in in_order)


def _known(config: Mapping[str, Any], kind: Any) -> dict[str, Any]:
    """Return a configuration without what a record may not have."""
    parts = _parts(kind)
    return {
        key: _known(value, parts[key]) if key in parts and isinstance(value, dict) else value
        for key, value in config.items()
        if key in _options(kind)
    }


def _check_options(record: Mapping[str, Any], kind: Any) -> None:
    parts = _parts(kind)
    for key, value in record.items():
        if key not in _options(kind):
            raise ValueError(f"it has the option {shown(key)}")
        if key in parts and isinstance(value, dict):
            _check_options(value, parts[key])
        elif not (_is_plain(value) or (key == "model_type" and value == kind.model_type)):
            raise ValueError(f"{key} = {shown(value)} is not possible")


def _is_plain(value: Any, levels: int = 4) -> bool:
    """Whether a value is what networks are described by: flags, numbers, words, lists of them."""
    if isinstance(value, list):
        return (
            levels > 0
            and len(value) <= LONGEST
            and all(_is_plain(part, levels - 1) for part in value)
        )
    if isinstance(value, int | float):
        return math.isfinite(value) and abs(value) <= GREATEST
    return value is None or (isinstance(value, str) and WORD.fullmatch(value) is not None)


def _read(file: Path) -> dict[str, Any]:
    try:
        config = parse_json(read_text(file))
    except (OSError, ValueError) as error:
        raise DataError(f"'{file}' is damaged: {error}.", "Copy it again.") from error
    if not isinstance(config, dict):
        raise DataError(f"'{file}' is damaged: it is not a mapping.", "Copy it again.")
    return config
