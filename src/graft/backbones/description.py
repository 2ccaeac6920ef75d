"""A backbone in full: its stages, costs, norms and sources, without its weights."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from graft.backbones.backbone import Backbone, Provenance, Stage
from graft.backbones.catalogue.entry import Entry
from graft.backbones.catalogue.facts import find
from graft.backbones.cost import count_gflops, count_parameters
from graft.backbones.grad_cam_layer import GradCamLayer, find_grad_cam_layer
from graft.backbones.load import load_backbone
from graft.backbones.norm_layers import find_norm_layers
from graft.data.preprocess import Preprocess
from graft.isolation import isolated


@dataclass(frozen=True)
class StageFacts:
    """One stage.

    Args:
        name: "stem", "stage1", ...
        modules: Paths of its largest modules, in execution order.
        shape: What it hands on for one image.
        parameters: How many numbers it learns.
        norms: Its normalisation layers by kind.
    """

    name: str
    modules: tuple[str, ...]
    shape: tuple[int, ...]
    parameters: int
    norms: dict[str, int]


@dataclass(frozen=True)
class Description:
    """What there is to know about a backbone.

    Args:
        name: Canonical name.
        width: Features per image.
        stages: In execution order.
        parameters: Of the backbone, the published classifier left out.
        gflops: Multiply-adds of the backbone for one image, in billions.
        norms: Normalisation layers by kind.
        grad_cam: The layer that says where the network looked.
        preprocess: The view of an image that the weights expect.
        provenance: Source of the weights.
        facts: What the zoo knows about the published model; None if it does not list it.
    """

    name: str
    width: int
    stages: tuple[StageFacts, ...]
    parameters: int
    gflops: float
    norms: dict[str, int]
    grad_cam: GradCamLayer
    preprocess: Preprocess
    provenance: Provenance
    facts: Entry | None

    def to_dict(self) -> dict[str, Any]:
        """Return the description as JSON-ready data."""
        facts = None if self.facts is None else self.facts.to_dict()
        return {**asdict(self), "facts": facts}


@isolated()
def describe(name: str) -> Description:
    """Describe a backbone from its architecture alone; nothing is fetched.

    Args:
        name: What `load_backbone` takes, such as "resnet18".

    Raises:
        BackboneError: The name is unknown, or the network's parts cannot be found.

    Example:
        >>> found = describe("resnet18")
        >>> found.stages[-1].shape, found.norms, found.grad_cam.path
        ((512, 7, 7), {'BatchNorm2d': 20}, 'layer4')
    """
    backbone = load_backbone(name, meta=True)
    preprocess = backbone.preprocess
    view = (preprocess.height, preprocess.width), preprocess.channels
    norms = dict(find_norm_layers(backbone.module))
    return Description(
        name=backbone.name,
        width=backbone.width,
        stages=tuple(_stage_facts(stage, backbone, norms) for stage in backbone.stages),
        parameters=count_parameters(backbone.module),
        gflops=round(count_gflops(backbone.module, *view), 3),
        norms=dict(Counter(norms.values())),
        grad_cam=find_grad_cam_layer(backbone.module, *view),
        preprocess=preprocess,
        provenance=backbone.provenance,
        facts=find(backbone.name, backbone.provenance.weights),
    )


def _stage_facts(stage: Stage, backbone: Backbone, norms: dict[str, str]) -> StageFacts:
    sizes = {name: tensor.numel() for name, tensor in backbone.module.named_parameters()}
    own = Counter(kind for path, kind in norms.items() if _lies_in(path, stage))
    return StageFacts(
        name=stage.name,
        modules=stage.modules,
        shape=stage.shape,
        parameters=sum(sizes[name] for name in stage.parameters),
        norms=dict(own),
    )


def _lies_in(path: str, stage: Stage) -> bool:
    return any(f"{path}.".startswith(f"{module}.") for module in stage.modules)
