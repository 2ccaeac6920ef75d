"""Builds a provider's network, with seeded random weights or with none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)
from torch.overrides import TorchFunctionMode

from graft.backbones.providers import Provider
from graft.errors import BackboneError, GraftError

_DRAWS = frozenset(
    {
        Tensor.normal_,
        Tensor.uniform_,
        *(each for name, each in vars(nn.init).items() if name.endswith("_") and name[0] != "_"),
    }
)
"""What gives a parameter its first values."""

MOST_PARAMETERS = 1 << 34
MOST_IN_BUFFERS = 1 << 27  # numbers that are computed in memory, such as tables of positions


def build(provider: Provider, architecture: Mapping[str, Any], seed: int = 0) -> nn.Module:
    """Return the network with random weights that depend on `seed` alone.

    Raises:
        BackboneError: The provider cannot build it with these options.

    Example:
        >>> from graft.backbones.providers import find_provider
        >>> network = build(find_provider("torchvision"), {"name": "resnet18", "options": {}})
        >>> network.fc.out_features
        1000
    """
    with torch.random.fork_rng(devices=()), _failures_named(architecture):
        torch.default_generator.manual_seed(seed)
        return provider.build(architecture)


def build_without_values(provider: Provider, architecture: Mapping[str, Any]) -> nn.Module:
    """Return the network with its buffers, and parameters on the meta device.

    That takes neither time nor memory for weights that will be replaced or never needed. A network
    that computes with its parameters while it is built gets them after all.

    Raises:
        BackboneError: The provider cannot build it with these options.

    Example:
        >>> from graft.backbones.providers import find_provider
        >>> architecture = {"name": "vgg16", "options": {}}
        >>> network = build_without_values(find_provider("torchvision"), architecture)
        >>> network.classifier[0].weight.device.type
        'meta'
    """
    ours = get_ident()

    def to_meta(module: nn.Module, name: str, parameter: nn.Parameter | None) -> Any:
        if (
            parameter is None or get_ident() != ours
        ):  # the hook is called for every thread's modules
            return None
        return nn.Parameter(parameter.to("meta"), requires_grad=parameter.requires_grad)

    hook = register_module_parameter_registration_hook(to_meta)
    try:
        with _WithoutDrawing():
            return provider.build(architecture)
    except Exception:  # the ordinary way gives a better message, or succeeds
        hook.remove()
        return build(provider, architecture)
    finally:
        hook.remove()


def build_skeleton(
    provider: Provider, architecture: Mapping[str, Any], most_tensors: int
) -> nn.Module:
    """Return the network on the meta device, its buffers too: shapes, and no memory for values.

    The architecture in a file is built this way first, and refused where it is too large.

    Args:
        provider: Builds the network.
        architecture: As the provider takes it.
        most_tensors: How many parameters and buffers the network may have.

    Raises:
        BackboneError: The provider cannot build it, or it is larger than any network known.

    Example:
        >>> from graft.backbones.providers import find_provider
        >>> architecture = {"name": "resnet18", "options": {}}
        >>> skeleton = build_skeleton(find_provider("torchvision"), architecture, 200)
        >>> skeleton.bn1.running_mean.device.type
        'meta'
    """
    count = _Count(most_tensors)
    hooks = [
        register_module_parameter_registration_hook(count.take),
        register_module_buffer_registration_hook(count.take),
    ]
    try:
        with _failures_named(architecture), torch.device("meta"), _WithoutDrawing():
            return provider.build(architecture)
    except BackboneError:
        if count.exceeded:
            raise
        # A network that computes with values while it is built needs them after all.
        return build_without_values(provider, architecture).to("meta")
    finally:
        for hook in hooks:
            hook.remove()


class _Count:
    """Counts the tensors of a network that is being built, and stops where they are too many."""

    def __init__(self, most_tensors: int) -> None:
        self.most_tensors = most_tensors
        self.tensors = self.parameters = self.buffers = 0
        self.exceeded = False

    def take(self, module: nn.Module, name: str, tensor: Tensor | None) -> None:
        if tensor is None:
            return
        self.tensors += 1
        if isinstance(tensor, nn.Parameter):
            self.parameters += tensor.numel()
        else:
            self.buffers += tensor.numel()
        self.exceeded = (
            self.tensors > self.most_tensors
            or self.parameters > MOST_PARAMETERS
            or self.buffers > MOST_IN_BUFFERS
        )
        if self.exceeded:
            raise BackboneError(
                f"The network is larger than any that is known, from '{name}' of shape "
                f"{tuple(tensor.shape)} on.",
                "Choose another image size or another backbone.",
            )


class _WithoutDrawing(TorchFunctionMode):
    """Draws no values for tensors that have none, for which PyTorch would load a lot of code."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _DRAWS:
            drawn = args[0] if args else kwargs["tensor"]
            if drawn.is_meta:
                return drawn
        return func(*args, **kwargs)


@contextmanager
def _failures_named(architecture: Mapping[str, Any]) -> Iterator[None]:
    """Turn whatever a builder raises into a `BackboneError` that names the architecture."""
    shown = {
        key: value.get("model_type", value) if isinstance(value, Mapping) else value
        for key, value in architecture.items()
    }
    try:
        yield
    except GraftError:
        raise
    except Exception as error:  # builders raise assertions, lookups and plain errors alike
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".:")
        raise BackboneError(
            f"The network {shown} cannot be built: {reason}.",
            "Choose another image size or another backbone.",
        ) from error
