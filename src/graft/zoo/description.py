"""A backbone in full: its stages, costs, norms, Grad-CAM layer and sources, without its weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from graft.backbones.backbone import Backbone, Provenance, Stage
from graft.backbones.load import load_backbone
from graft.backbones.trace import BATCH, Call, is_spatial, run, trace
from graft.data.preprocess import Preprocess
from graft.errors import BackboneError
from graft.host import isolated
from graft.zoo.catalogue import ZooEntry, find


def count_parameters(network: nn.Module) -> int:
    """Return how many numbers a network learns.

    Example:
        >>> count_parameters(nn.Linear(3, 2))
        8
    """
    return sum(parameter.numel() for parameter in network.parameters())


def count_gflops(network: nn.Module, image_size: tuple[int, int], channels: int = 3) -> float:
    """Return what one image costs in billions of multiply-adds.

    A multiply-add counts once, as in torchvision's tables and in most papers, which call it a
    FLOP. Counted are convolutions and matrix products, those of attention included.

    Args:
        network: Maps images (N, channels, H, W) to anything; on the meta device.
        image_size: Height and width in pixels.
        channels: Channels per image.

    Example:
        >>> layer = nn.Conv2d(3, 8, 3, padding=1).to("meta")
        >>> count_gflops(layer, (100, 100)) == 3 * 8 * 9 * 100 * 100 / 1e9
        True
    """
    with FlopCounterMode(display=False) as counter:
        run(network, image_size, channels)
    return float(counter.get_total_flops() / 2 / BATCH / 1e9)


TORCH_NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm, nn.LocalResponseNorm)


def find_norm_layers(network: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield the path and the kind (class name) of every normalisation layer.

    Libraries have their own; one counts if it is named a norm and its tensors hold one number per
    channel. Containers of a norm and other layers do not.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
        >>> list(find_norm_layers(network))
        [('1', 'BatchNorm2d')]
    """
    for path, module in network.named_modules():
        if isinstance(module, TORCH_NORMS) or _looks_like_one(module):
            yield path, type(module).__name__


def _looks_like_one(module: nn.Module) -> bool:
    own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    per_channel = own and all(tensor.numel() == max(tensor.shape, default=1) for tensor in own)
    return bool("Norm" in type(module).__name__ and per_channel)


ATTENTION = {"scaled_dot_product_attention", "multi_head_attention_forward", "softmax"}
CHOOSING = {"__getitem__", "select", "narrow"}
"""What picks one token out of many, so that no gradient reaches the others."""


@dataclass(frozen=True)
class GradCamLayer:
    """Where to look.

    Args:
        path: Dotted path of the module whose output is used.
        shape: That output without the batch: (channels, h, w), (h, w, channels) or
            (tokens, channels).
    """

    path: str
    shape: tuple[int, ...]


def find_grad_cam_layer(
    network: nn.Module, image_size: tuple[int, int], channels: int = 3
) -> GradCamLayer:
    """Return the last layer whose output has positions that the features depend on.

    That is the last one before the pooling. Where the features are those of one token (a vision
    transformer's class token), the other tokens are read for the last time by the last attention,
    so that it is the norm before that one: behind it their gradient is zero.

    Args:
        network: A backbone's module, images (N, channels, H, W) to features (N, width).
        image_size: Height and width in pixels.
        channels: Channels per image.

    Raises:
        BackboneError: No layer has an output with positions.

    Source:
        Selvaraju et al., Grad-CAM, https://arxiv.org/abs/1610.02391.

    Example:
        >>> layers = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        >>> find_grad_cam_layer(nn.Sequential(*layers), (9, 9))
        GradCamLayer(path='0', shape=(8, 7, 7))
    """
    seen = trace(network, image_size, channels)
    spatial = [call for call in seen.calls if call.path and _has_positions(call)]
    if not spatial:
        raise BackboneError(
            "No layer of the network has an output with positions.", "Choose another backbone."
        )
    last = max(spatial, key=lambda call: call.end)
    ending = _Ending(seen.network, last.path)
    ending.watch(image_size, channels)
    norms = ending.norms[: ending.before_attention]
    candidates = [norm for norm in norms if norm.shape == last.returned]
    if candidates and ending.poolings and set(ending.poolings) <= CHOOSING:
        return candidates[-1]
    return GradCamLayer(last.path, last.returned)


def _has_positions(call: Call) -> bool:
    return is_spatial(call.returned) and any(True for _ in call.module.parameters())


class _Ending(TorchFunctionMode):
    """Sees how a network ends while it runs.

    Args:
        network: On the meta device.
        last: Path of its last layer with positions.
    """

    def __init__(self, network: nn.Module, last: str) -> None:
        super().__init__()
        self.network = network
        self.last = last
        self.poolings: list[str] = []  # what leaves no positions, behind the last layer
        self.norms: list[GradCamLayer] = []
        self.before_attention = 0  # how many norms ran before the last attention

    def watch(self, image_size: tuple[int, int], channels: int) -> None:
        with ExitStack() as hooks:
            for path, _ in find_norm_layers(self.network):
                norm = self.network.get_submodule(path)
                hooks.callback(norm.register_forward_hook(partial(self.see_norm, path)).remove)
            last = self.network.get_submodule(self.last)
            hooks.callback(last.register_forward_hook(self.see_last).remove)
            with self:
                run(self.network, image_size, channels)

    def see_norm(self, path: str, module: nn.Module, args: Any, output: Tensor) -> None:
        self.norms.append(GradCamLayer(path, tuple(output.shape[1:])))

    def see_last(self, module: nn.Module, args: Any, output: Any) -> None:
        self.poolings.clear()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if name in ATTENTION:
            self.before_attention = len(self.norms)
        if _positions_end(args, result):
            self.poolings.append(name)
        return result


def _positions_end(args: tuple[Any, ...], result: Any) -> bool:
    """Whether an operation took a tensor with positions and returned one without."""
    given = args[0] if args else None
    if not isinstance(given, Tensor) or not isinstance(result, Tensor):
        return False
    return is_spatial(tuple(given.shape[1:])) and not is_spatial(tuple(result.shape[1:]))


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
    facts: ZooEntry | None

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
