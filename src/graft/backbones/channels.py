"""Lets a network made for colour pictures take images of another number of channels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import ceil

from torch import Tensor, nn

from graft.backbones.trace import Trace
from graft.data.preprocess import Preprocess
from graft.errors import BackboneError


def find_input_layers(seen: Trace) -> tuple[str, ...]:
    """Return the paths of the convolutions that read the image itself.

    Example:
        >>> from graft.backbones.trace import trace
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 3, 1))
        >>> find_input_layers(trace(network, (4, 4)))
        ('0',)
    """
    images = seen.calls[0].source
    return tuple(
        call.path
        for call in seen.calls
        if call.source == images and isinstance(call.module, nn.Conv2d)
    )


def set_channels(network: nn.Module, layers: Iterable[str], channels: int) -> None:
    """Change the convolutions that read the image, in place.

    Args:
        network: Reads its images by the convolutions at `layers`.
        layers: What `find_input_layers` found.
        channels: Of the images to come.

    Raises:
        BackboneError: The image is read by something else as well.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 1))
        >>> set_channels(network, ["0"], 5)
        >>> network[0].weight.shape
        torch.Size([8, 5, 1, 1])
    """
    convolutions = [(path, network.get_submodule(path)) for path in layers]
    if not convolutions or any(getattr(layer, "groups", 0) != 1 for _, layer in convolutions):
        raise BackboneError(
            f"The network cannot take images of {channels} channels: it does not begin with a "
            "plain convolution.",
            "Choose another backbone.",
        )
    for path, layer in convolutions:
        assert isinstance(layer, nn.Conv2d)
        before = layer.in_channels
        layer.weight = nn.Parameter(convert(layer.weight.detach(), channels))
        layer.in_channels = channels
        parts = path.split(".")
        for length in range(len(parts)):
            module = network.get_submodule(".".join(parts[:length]))
            # Networks of transformers compare the images with a number of their own.
            if getattr(module, "num_channels", None) == before:
                module.num_channels = channels  # type: ignore[assignment]


def convert_state(
    state: Mapping[str, Tensor], layers: Iterable[str], channels: int
) -> dict[str, Tensor]:
    """Return a state dict whose input convolutions take `channels` channels."""
    weights = {f"{path}.weight" for path in layers}
    return {
        name: convert(tensor, channels) if name in weights else tensor
        for name, tensor in state.items()
    }


def convert(weight: Tensor, channels: int) -> Tensor:
    """Return the weight (out, 3, H, W) of a convolution for images of other channels.

    One channel gets the sum over the colours, which is what a grey picture gets in colour. More
    take the colours' weights in turn, scaled so that activations keep their size, as timm does.

    Example:
        >>> import torch
        >>> [convert(torch.ones(1, 3, 1, 1), channels).sum().item() for channels in (1, 3, 6)]
        [3.0, 3.0, 3.0]
    """
    given = weight.shape[1]
    if channels == given:
        return weight
    if channels == 1:
        return weight.sum(dim=1, keepdim=True)
    repeated = weight.repeat(1, ceil(channels / given), 1, 1)[:, :channels]
    return repeated * (given / channels)


def with_channels(preprocess: Preprocess, channels: int) -> Preprocess:
    """Return the preprocessing for images of so many channels.

    Example:
        >>> with_channels(Preprocess(32, mean=(0.4, 0.5, 0.6)), 1).mean
        (0.5,)
    """

    def adjust(values: tuple[float, ...]) -> tuple[float, ...]:
        if channels == 1:
            return (sum(values) / len(values),)
        return (values * ceil(channels / len(values)))[:channels]

    mean, std = adjust(preprocess.mean), adjust(preprocess.std)
    return replace(preprocess, channels=channels, mean=mean, std=std)
