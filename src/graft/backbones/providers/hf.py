"""Backbones in Hugging Face format: `AutoModelForImageClassification` and its image processor.

A name is "organisation/name" on the hub, or a local folder with `config.json`,
`preprocessor_config.json` and safetensors weights. Only transformers' own classes are built; code
that comes with a repository never runs, and pickled weights are not read.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, float32, nn
from transformers import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING
from transformers.utils import logging

from graft.backbones.backbone import Provenance
from graft.backbones.processor import read_processor
from graft.backbones.providers import Offer
from graft.errors import BackboneError, nearest
from graft.hub import hub_file

CONFIG, PROCESSOR = "config.json", "preprocessor_config.json"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
# Class names are the user's own; the others would choose code, kernels or number formats.
LEFT_OUT = frozenset(
    {
        "_attn_implementation",
        "attn_implementation",
        "auto_map",
        "dtype",
        "id2label",
        "label2id",
        "quantization_config",
        "torch_dtype",
    }
)


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


def offer(name: str, weights: str | None, image_size: int | None, file: Path | None) -> Offer:
    """Return what a folder or a repository of the hub says of its model; see `Provider.offer`.

    Args:
        name: "google/vit-base-patch16-224", or a folder.
        weights: Branch, tag or commit of the repository.
        image_size: As in `Provider.offer`.
        file: As in `Provider.offer`.
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

    config = _read(fetch(CONFIG))
    preprocess = read_processor(fetch(PROCESSOR))
    if image_size:
        preprocess = preprocess.with_image_size(image_size)
    labels = config.get("id2label")
    record = {key: value for key, value in config.items() if key not in LEFT_OUT}
    record.setdefault("num_labels", len(labels) if labels else 2)
    return Offer(
        name=f"hf:{Path(name).resolve().name if local else name}",
        architecture={"config": record, "image_size": [preprocess.height, preprocess.width]},
        preprocess=preprocess,
        provenance=Provenance(
            provider="hf",
            weights=weights,
            source=Path(name).name if local else f"https://huggingface.co/{name}",
        ),
        fetch=lambda: fetch(*WEIGHTS),
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


def _config(record: Mapping[str, Any]) -> Any:
    """Return transformers' configuration of a record of ours."""
    kind = record.get("model_type")
    known = {config.model_type for config in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING}
    if kind not in known:
        raise BackboneError(
            f"transformers has no image classifier of type '{kind}'.",
            f"Nearest: {nearest(str(kind), known)}. Models with code of their own are not run.",
        )
    if kind == "timm_wrapper":
        raise BackboneError(
            "This repository wraps a model of timm.", "Name it as timm does: timm:NAME.TAG."
        )
    return CONFIG_MAPPING[kind].from_dict(dict(record))


def _read(file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BackboneError(f"'{file}' is damaged: {error}.", "Copy it again.") from error
    if not isinstance(config, dict):
        raise BackboneError(f"'{file}' is damaged: not a mapping.", "Copy it again.")
    return config
