"""From a name to a backbone: build, find the parts, take off the classifier, load weights."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from graft.backbones.architecture import (
    Architecture,
    analyze,
    convert_state,
    remove,
    resize,
    set_channels,
    with_channels,
    with_classifier,
)
from graft.backbones.backbone import Backbone, Provenance, Stage
from graft.backbones.build import build, build_without_values
from graft.backbones.providers import ModelInfo, Provider, available, find_provider, split_name
from graft.backbones.recognize import recognise
from graft.backbones.saved import BODY, checked_record, is_saved, read_saved
from graft.backbones.weights import load_weights, read_state
from graft.calls import same_spelling
from graft.data.preprocess import Preprocess
from graft.download import promised_hash
from graft.errors import BackboneError, DataError
from graft.files import readable_path, sha256
from graft.host import isolated


def absolute_name(name: str) -> str:
    """Return a backbone's name so that it means the same from any folder.

    A name that only spells an architecture in another way is that architecture's.

    Example:
        >>> absolute_name("resnet18"), absolute_name("hf:google/vit-base-patch16-224")
        ('resnet18', 'hf:google/vit-base-patch16-224')
        >>> absolute_name("ResNet-18@DEFAULT")
        'resnet18@DEFAULT'

    Raises:
        RecipeError: It is empty.
        DataError: It is longer than any name or path can be.
    """
    readable_path(name)
    provider, separator, rest = name.rpartition(":")
    if is_saved(name) or (Path(name) / "config.json").is_file():
        return str(Path(name).absolute())
    if separator and Path(rest).is_dir():
        return f"{provider}:{Path(rest).absolute()}"
    return _usual_spelling(name)


def _usual_spelling(name: str) -> str:
    """Return the name of the architecture that is spelled like `name`, or `name`."""
    provider, architecture, weights = split_name(name)
    if provider not in available() or architecture in (names := find_provider(provider).names()):
        return name
    same = same_spelling(architecture, names)
    if same is None:
        return name
    stem = f"{provider}:{same}" if ":" in name else same
    return stem if weights is None else f"{stem}@{weights}"


@isolated()
def load_backbone(
    name: str,
    *,
    weights: Path | str | None = None,
    pretrained: bool = True,
    meta: bool = False,
    image_size: int | None = None,
    resize: str | None = None,
    channels: int | None = None,
    seed: int = 0,
) -> Backbone:
    """Return a backbone by name, with its classifier removed and its stages found.

    Args:
        name: "[provider:]architecture[@weights]", such as "resnet50",
            "torchvision:resnet50@IMAGENET1K_V1" or "timm:convnext_tiny.fb_in22k_ft_in1k";
            "hf:organisation/name"; or a folder with a slash in its name, in the format of Hugging
            Face or saved by Graft itself (a run or a model, whose backbone is taken).
        weights: A local weights file in place of the published ones.
        pretrained: False gives random weights, for training from scratch.
        meta: True gives tensors without values, for looking at the backbone; no weights are read.
        image_size: Side of the input in pixels; default: that of the weights.
        resize: "crop", "squash" or "letterbox"; default: that of the weights. See
            `Preprocess.with_policy`.
        channels: Channels per image, 3 if not given. The first layer's weights are summed for one
            channel and repeated for more.
        seed: Of the random weights.

    Raises:
        BackboneError: The name or the weights are unknown, the file does not fit, or the network
            has no classifier or stages that can be found.
        ResourceError: The published weights could not be fetched.

    Example:
        >>> import torch
        >>> backbone = load_backbone("resnet18", pretrained=False, image_size=64)
        >>> tuple(backbone.module(torch.zeros(2, 3, 64, 64)).shape)
        (2, 512)
        >>> backbone.stage("stage4").modules
        ('layer4', 'avgpool')
    """
    backbone_spec = specify_backbone(
        name,
        weights=weights,
        pretrained=pretrained,
        image_size=image_size,
        resize=resize,
        channels=channels,
    )
    return backbone_spec.on_meta() if meta else backbone_spec.load(seed=seed)


def specify_backbone(
    name: str,
    *,
    weights: Path | str | None = None,
    pretrained: bool = True,
    image_size: int | None = None,
    resize: str | None = None,
    channels: int | None = None,
) -> BackboneSpec:
    """Find out everything about a backbone before its weights are read.

    Args and errors are those of `load_backbone`, but for what is wrong with the weights.

    Example:
        >>> backbone_spec = specify_backbone("resnet18", pretrained=False, image_size=64)
        >>> [stage.name for stage in backbone_spec.on_meta().stages]
        ['stem', 'stage1', 'stage2', 'stage3', 'stage4']
    """
    if weights is not None and not pretrained:
        raise BackboneError(
            f"Both a weights file ('{weights}') and random weights were asked for.",
            "Leave out one of --weights and --strategy scratch.",
        )
    if is_saved(name):
        return _SavedSpec(name, weights, pretrained, image_size, resize, channels)
    file = None if weights is None else Path(weights)
    backbone, provider, model_info = _describe(name, file, image_size, resize, channels)
    if not pretrained:
        backbone.provenance = Provenance(model_info.provenance.provider)
    return _PublishedSpec(backbone, provider, model_info, file, pretrained)


@dataclass(frozen=True)
class Published:
    """A network as it was published, its own classifier included.

    Args:
        module: Maps normalised images (N, 3, H, W) to logits (N, classes), in eval mode.
        preprocess: The view of an image that the weights expect.
        classes: Names in the order of the logits; of two that are the same, each has its number.
    """

    module: nn.Module
    preprocess: Preprocess
    classes: tuple[str, ...]


@isolated()
def load_published(name: str, *, weights: Path | str | None = None) -> Published:
    """Return a network as it was published, with the names of its classes.

    Args:
        name: As in `load_backbone`, but for a folder that Graft saved.
        weights: A local weights file in place of the published ones.

    Raises:
        BackboneError: The name or the weights are unknown, the file does not fit, or the network
            was published without a classifier.
        ResourceError: The published weights could not be fetched.
    """
    file = None if weights is None else Path(weights)
    provider_name, architecture, tag = split_name(name)
    provider = find_provider(provider_name)
    model_info = provider.model_info(architecture, tag, None, file)
    if model_info.classes is None:
        raise BackboneError(
            f"'{model_info.name}' was published without a classifier whose classes have names.",
            f"Train a head on images of your own: graft fit DIR --backbone {name}",
        )
    path = file or _fetched(model_info)
    network = build_without_values(provider, model_info.architecture)
    _fill(network, provider, model_info, path)
    return Published(network.eval(), model_info.preprocess, distinct(model_info.classes()))


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of classes, with their numbers where two are the same.

    Example:
        >>> distinct(["crane", "ant", "crane"])
        ('crane (0)', 'ant', 'crane (2)')
    """
    count = Counter(names)
    return tuple(f"{each} ({n})" if count[each] > 1 else each for n, each in enumerate(names))


class BackboneSpec(Protocol):
    """A backbone of which all is known but the weights."""

    def on_meta(self) -> Backbone:
        """Return the backbone on the meta device, with shapes and without values."""

    def load(self, *, seed: int = 0) -> Backbone:
        """Return the backbone with its weights; once, for it takes the backbone_spec's own network.

        Raises:
            BackboneError: The weights do not fit.
            ResourceError: The published weights could not be fetched.
        """


@dataclass
class _PublishedSpec:
    backbone: Backbone
    provider: Provider
    model_info: ModelInfo
    file: Path | None
    pretrained: bool

    def on_meta(self) -> Backbone:
        module = copy.deepcopy(self.backbone.module).to("meta").eval()
        return replace(self.backbone, module=module)

    def load(self, *, seed: int = 0) -> Backbone:
        backbone, provider, model_info = self.backbone, self.provider, self.model_info
        if not self.pretrained:
            backbone.module = _make(backbone, provider, seed)
        else:
            path = self.file or _fetched(model_info)
            backbone.provenance = _provenance(
                path, model_info.provenance, fetched=self.file is None
            )
            _fill(backbone.module, provider, model_info, path, backbone)
        backbone.module.eval()
        return backbone


@dataclass
class _SavedSpec:
    name: str
    weights: Path | str | None
    pretrained: bool
    image_size: int | None
    resize: str | None
    channels: int | None

    def on_meta(self) -> Backbone:
        return self._load(meta=True, seed=0)

    def load(self, *, seed: int = 0) -> Backbone:
        return self._load(meta=False, seed=seed)

    def _load(self, *, meta: bool, seed: int) -> Backbone:
        backbone = _load_saved(
            self.name, self.weights, self.pretrained, meta, self.image_size, self.channels, seed
        )
        if self.resize:
            backbone.preprocess = backbone.preprocess.with_policy(self.resize)
        return backbone


def rebuild(
    record: Mapping[str, Any],
    state: Mapping[str, Tensor] | None = None,
    *,
    meta: bool = False,
    seed: int = 0,
) -> Backbone:
    """Return the backbone of a record; see `Backbone.from_record`.

    Args:
        record: What `Backbone.record` returned.
        state: The module's state dict; without it the weights are random.
        meta: True gives tensors without values.
        seed: Of the random weights.
    """
    try:
        provider, record = checked_record(record)
    except DataError as error:
        raise BackboneError(
            f"The record of the backbone is damaged. {error.problem}", "Restore the model folder."
        ) from error
    backbone = Backbone(
        name=record["name"],
        module=nn.Identity(),
        stages=tuple(Stage.from_dict(stage) for stage in record["stages"]),
        width=record["width"],
        preprocess=Preprocess.from_dict(record["preprocess"]),
        head_dropout=float(record["head_dropout"]),
        provenance=Provenance(**record["provenance"]),
        architecture=record["architecture"],
        removed=tuple(record["removed"]),
        input_layers=tuple(record["input_layers"]),
    )
    backbone.module = _make(backbone, provider, None if meta or state is not None else seed)
    if meta:
        backbone.module = backbone.module.to("meta")
    elif state is not None:
        load_weights(backbone.module, state, source="The stored state")
    backbone.module.eval()
    return backbone


PYTHON = "python"
"""What stands for the provider of a network that was given as an object."""


def from_module(network: nn.Module, preprocess: Preprocess | None) -> Backbone:
    """Return a backbone made of a copy of a network; see `Backbone.from_module`."""
    module = copy.deepcopy(network).eval()
    preprocess = preprocess or Preprocess(224, resize=256)
    parts, original = analyze(module, preprocess), copy.deepcopy(module).to("meta")
    remove(module, parts.classifier.removed)
    kind = type(network)
    return Backbone(
        name=f"{PYTHON}:{kind.__name__}",
        module=module,
        stages=parts.stages,
        width=parts.classifier.width,
        preprocess=preprocess,
        head_dropout=parts.classifier.dropout,
        provenance=Provenance(PYTHON),
        architecture={"class": f"{kind.__module__}.{kind.__qualname__}"},
        removed=parts.classifier.removed,
        input_layers=parts.input_layers,
        original=original,
    )


def plain_network(backbone: Backbone, weight: Tensor, bias: Tensor) -> nn.Module:
    """Return a copy of a backbone as its own library has it, with a classifier layer, in eval mode.

    Args:
        backbone: Its provider says what the layer is.
        weight: Of the classifier layer, shape (outputs, width).
        bias: Of the classifier layer, shape (outputs,).
    """
    original, wrapped = backbone.original, ""
    if original is None:
        provider = find_provider(backbone.provenance.provider)
        original = build_without_values(provider, backbone.architecture)
        wrapped = getattr(provider, "WRAPPED", "")
    network = with_classifier(backbone.module, original, backbone.removed, weight, bias)
    return network.get_submodule(wrapped).eval()


def _describe(
    name: str,
    file: Path | None,
    image_size: int | None,
    policy: str | None,
    channels: int | None,
) -> tuple[Backbone, Provider, ModelInfo]:
    """Return a backbone whose parameters have no values yet, and where they come from."""
    provider_name, architecture, published = split_name(_usual_spelling(name))
    provider = find_provider(provider_name)
    own = model_info = provider.model_info(architecture, published, None, file)
    if image_size:
        model_info = provider.model_info(architecture, published, image_size, file)
    if channels:
        model_info = replace(model_info, preprocess=with_channels(model_info.preprocess, channels))
    network = build_without_values(provider, model_info.architecture)
    analysis = _dissect(provider, own, model_info, network)
    if channels:
        set_channels(network, analysis.input_layers, channels)
    remove(network, analysis.classifier.removed)
    preprocess = model_info.preprocess
    backbone = Backbone(
        name=model_info.name,
        module=network,
        stages=analysis.stages,
        width=analysis.classifier.width,
        preprocess=preprocess.with_policy(policy) if policy else preprocess,
        head_dropout=analysis.classifier.dropout,
        provenance=model_info.provenance,
        architecture=model_info.architecture,
        removed=analysis.classifier.removed,
        input_layers=analysis.input_layers,
    )
    return backbone, provider, model_info


def _dissect(
    provider: Provider, own: ModelInfo, wanted: ModelInfo, network: nn.Module
) -> Architecture:
    """Find the parts of a network, on the input that it was made for, then on the wanted one."""
    if wanted is own:
        return analyze(network, own.preprocess)
    analysis = analyze(build_without_values(provider, own.architecture), own.preprocess)
    wanting = copy.deepcopy(network)
    if wanted.preprocess.channels != own.preprocess.channels:
        set_channels(wanting, analysis.input_layers, wanted.preprocess.channels)
    return resize(analysis, wanting, wanted.preprocess)


def _make(backbone: Backbone, provider: Provider, seed: int | None) -> nn.Module:
    """Build the module of a backbone, with random weights or (seed None) without values."""
    if seed is None:
        module = build_without_values(provider, backbone.architecture)
    else:
        module = build(provider, backbone.architecture, seed)
    remove(module, backbone.removed)
    if backbone.preprocess.channels != 3:
        set_channels(module, backbone.input_layers, backbone.preprocess.channels)
    return module


def _load_saved(
    name: str,
    weights: Path | str | None,
    pretrained: bool,
    meta: bool,
    image_size: int | None,
    channels: int | None,
    seed: int,
) -> Backbone:
    """Return the backbone of a model that Graft saved, with its stages and preprocessing."""
    saved, state = read_saved(name), None
    if pretrained and not meta:
        state = {name.removeprefix(BODY): value for name, value in saved.read(BODY).items()}
    backbone = rebuild(saved.facts["backbone"], state, meta=meta, seed=seed)
    preprocess = backbone.preprocess
    if weights is not None or (
        image_size or preprocess.height,
        channels or preprocess.channels,
    ) != (preprocess.height, preprocess.channels):
        raise BackboneError(
            f"The model in '{name}' has weights of its own, for images of {preprocess.height} "
            f"pixels and {preprocess.channels} channels.",
            "Leave out --weights, --image-size and --channels, or choose its backbone "
            f"'{backbone.name}'.",
        )
    provider = backbone.provenance.provider
    backbone.provenance = (
        Provenance(provider, source=Path(name).resolve().name, sha256=sha256(saved.file))
        if pretrained
        else Provenance(provider)
    )
    return backbone


def _fill(
    network: nn.Module,
    provider: Provider,
    model_info: ModelInfo,
    file: Path,
    backbone: Backbone | None = None,
) -> None:
    """Put the weights of a file into a network, which is a backbone's or the whole one."""
    state = read_state(file)
    adapted = provider.adapt(state, model_info.architecture)
    if backbone is not None:
        adapted = convert_state(adapted, backbone.input_layers, backbone.preprocess.channels)
    load_weights(
        network,
        adapted,
        source=f"'{file.name}'",
        without=backbone.removed if backbone is not None else (),
        recognise=lambda: recognise(provider, state, file.name, model_info.name.partition(":")[2]),
    )


def _fetched(model_info: ModelInfo) -> Path:
    """Return the file of the published weights."""
    if model_info.fetch is None:
        raise BackboneError(
            f"'{model_info.name}' comes without pre-trained weights.",
            "Pass a file with --weights FILE, or train with --strategy scratch.",
        )
    return model_info.fetch()


def _provenance(file: Path, published: Provenance, *, fetched: bool) -> Provenance:
    """Return the published provenance where `file` is the published one, else the file's own."""
    digest = sha256(file) if file.is_file() else None
    promised = promised_hash(file.name)
    named = file.name in str(published.source) and promised and digest
    if fetched or (named and str(digest).startswith(str(promised))):
        return replace(published, sha256=digest)
    return Provenance(published.provider, source=file.name, sha256=digest)
