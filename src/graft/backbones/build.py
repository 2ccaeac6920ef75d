"""Builds a provider's network, with seeded random weights or with none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
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
    hook = register_module_parameter_registration_hook(_to_meta)  # type: ignore[arg-type]
    try:
        with _WithoutDrawing():
            return provider.build(architecture)
    except Exception:  # whatever it was, the ordinary way says it better or succeeds
        hook.remove()
        return build(provider, architecture)
    finally:
        hook.remove()


def _to_meta(module: nn.Module, name: str, parameter: nn.Parameter | None) -> nn.Parameter | None:
    if parameter is None:
        return None
    return nn.Parameter(parameter.to("meta"), requires_grad=parameter.requires_grad)


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
