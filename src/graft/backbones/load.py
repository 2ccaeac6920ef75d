"""From a name to a backbone: build, find the parts, take off the classifier, load weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from graft.backbones.anatomy import dissect, resize
from graft.backbones.backbone import Backbone, Provenance, Stage
from graft.backbones.build import build, build_without_values
from graft.backbones.classifier_layer import remove
from graft.backbones.download import promised_hash
from graft.backbones.providers import Offer, find_provider, split_name
from graft.backbones.recognise import recognise
from graft.backbones.weights import load_weights, read_state
from graft.data.preprocess import Preprocess
from graft.errors import BackboneError
from graft.files import sha256


def load_backbone(
    name: str,
    *,
    weights: Path | str | None = None,
    pretrained: bool = True,
    meta: bool = False,
    image_size: int | None = None,
    seed: int = 0,
) -> Backbone:
    """Return a backbone by name, with its classifier removed and its stages found.

    Args:
        name: "[provider:]architecture[@weights]", such as "resnet50" or
            "torchvision:resnet50@IMAGENET1K_V1".
        weights: A local weights file in place of the published ones.
        pretrained: False gives random weights, for training from scratch.
        meta: True gives tensors without values, for looking at the backbone; nothing is read.
        image_size: Side of the input in pixels; default: that of the weights.
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
    if weights is not None and not pretrained:
        raise BackboneError(
            f"Both a weights file ('{weights}') and random weights were asked for.",
            "Leave out one of --weights and --strategy scratch.",
        )
    provider_name, architecture, published = split_name(name)
    provider = find_provider(provider_name)
    file = None if weights is None else Path(weights)
    offer = provider.offer(architecture, published, None, file)
    skeleton = build_without_values(provider, offer.architecture)
    anatomy = dissect(skeleton, offer.preprocess)
    if image_size:
        offer = provider.offer(architecture, published, image_size, file)
        skeleton = build_without_values(provider, offer.architecture)
        anatomy = resize(anatomy, skeleton, offer.preprocess)
    backbone = Backbone(
        name=offer.name,
        module=skeleton,
        stages=anatomy.stages,
        width=anatomy.classifier.width,
        preprocess=offer.preprocess,
        head_dropout=anatomy.classifier.dropout,
        provenance=offer.provenance,
        architecture=offer.architecture,
        removed=anatomy.classifier.removed,
    )
    if not pretrained:
        backbone.provenance = Provenance(offer.provenance.provider)
    if meta:
        backbone.module = skeleton.to("meta")
    elif not pretrained:
        backbone.module = build(provider, offer.architecture, seed)
    remove(backbone.module, backbone.removed)
    if pretrained and not meta:
        path = file or _fetched(offer)
        backbone.provenance = _provenance(path, offer.provenance)
        state = read_state(path)
        load_weights(
            backbone.module,
            provider.adapt(state, offer.architecture),
            source=f"'{path.name}'",
            without=backbone.removed,
            recognise=lambda: recognise(provider, state, path.name),
        )
    backbone.module.eval()
    return backbone


def rebuild(record: Mapping[str, Any], state: Mapping[str, Tensor] | None = None) -> Backbone:
    """Return the backbone of a record; see `Backbone.from_record`."""
    try:
        backbone = Backbone(
            name=record["name"],
            module=nn.Identity(),
            stages=tuple(Stage.from_dict(stage) for stage in record["stages"]),
            width=int(record["width"]),
            preprocess=Preprocess.from_dict(record["preprocess"]),
            head_dropout=float(record["head_dropout"]),
            provenance=Provenance(**record["provenance"]),
            architecture=dict(record["architecture"]),
            removed=tuple(record["removed"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackboneError(
            f"The record of the backbone is damaged: {error!r}.", "Restore the model folder."
        ) from error
    provider = find_provider(split_name(backbone.name)[0])
    make = build if state is None else build_without_values
    backbone.module = make(provider, backbone.architecture)
    remove(backbone.module, backbone.removed)
    if state is not None:
        load_weights(backbone.module, state, source="The stored state")
    backbone.module.eval()
    return backbone


def _fetched(offer: Offer) -> Path:
    """Return the file of the published weights."""
    if offer.fetch is None:
        raise BackboneError(
            f"'{offer.name}' comes without pre-trained weights.",
            "Pass a file with --weights FILE, or train with --strategy scratch.",
        )
    return offer.fetch()


def _provenance(file: Path, published: Provenance) -> Provenance:
    """Return the published provenance where `file` is the published one, else the file's own."""
    digest = sha256(file) if file.is_file() else None
    promised = promised_hash(file.name)
    if promised and digest and digest.startswith(promised) and file.name in str(published.source):
        return replace(published, sha256=digest)
    return Provenance(published.provider, source=file.name, sha256=digest)
