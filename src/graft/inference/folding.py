"""BatchNorm folded into the layers before it, on a copy of the network, and proved equal."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from graft.inference.agreement import TOLERANCE, differ, eval_mode, full_precision, in_words
from graft.inference.pairs import Pair, find_pairs, is_normalisation

_NOISE = 2
"""Images of noise on which pairs are looked for."""

_PROOF = 2
"""Real images on which the copy is proved."""

_STRICTER = TOLERANCE / 4
"""Tolerance on noise: no network passes there and fails on some images by rounding alone."""


@dataclass(frozen=True)
class Folded:
    """A network that computes what another one does in eval mode, in fewer operations.

    Args:
        module: The quicker network, in eval mode. What is not folded it shares with the original,
            which must neither change nor move while this is in use. Where `refused` says so, the
            original itself, in the mode it is in.
        folded: How many normalisations it does without.
        refused: Why it is the original; None if it is not.
    """

    module: nn.Module
    folded: int = 0
    refused: str | None = None


def fold(module: nn.Module, example: Tensor, *, within: Collection[str] | None = None) -> Folded:
    """Return a copy of a network with every BatchNorm folded that can be.

    One can be where its input comes from one convolution or linear layer whose output nothing else
    uses. In its place is an `nn.Identity`, or whatever else its module did, such as an
    activation. What can be folded is found, and first proved, by a run on noise, so that it is the
    same whatever the images; then the copy is proved on real ones.

    Args:
        module: Maps images (N, channels, H, W) to a tensor. It is left as it is.
        example: Real images, normalised, on the module's device; two are enough.
        within: Paths of modules; only what lies at or below one of them is folded. None means
            everything.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
        >>> folded = fold(network, torch.rand(2, 3, 8, 8))
        >>> folded.folded, folded.module[1], type(network[1]).__name__
        (1, Identity(), 'BatchNorm2d')
    """
    try:
        with torch.inference_mode(False), torch.no_grad(), full_precision(example.device):
            copied, count = _folded_copy(module, example, within)
        if count:
            with torch.no_grad(), full_precision(example.device), eval_mode(module):
                _prove(module(example[:_PROOF]), copied(example[:_PROOF]))
    except Exception as error:  # a network's code may fail in any way on a changed network
        return Folded(module, refused=f"BatchNorm is not folded: {in_words(error)}")
    return Folded(copied, count)


def _folded_copy(
    module: nn.Module, example: Tensor, within: Collection[str] | None
) -> tuple[nn.Module, int]:
    """Return a copy that does the same on noise, and how many normalisations it does without."""
    norms = [each for each in module.modules() if is_normalisation(each)]
    shared = [*module.parameters(), *(tensor for norm in norms for tensor in norm.buffers())]
    copied = copy.deepcopy(module, {id(each): each for each in shared}).eval()
    if not norms:
        return copied, 0
    for path, each in copied.named_modules():
        if each._forward_hooks or each._forward_pre_hooks:
            raise RuntimeError(f"'{path}' has a hook, which would see other numbers")
        if each.training:
            raise RuntimeError(f"'{path}' stays in training mode")
    size = _NOISE, *example.shape[1:]
    noise = torch.randn(size, generator=torch.Generator().manual_seed(0)).to(example)
    pairs, expected = find_pairs(copied, noise)
    chosen = [pair for pair in pairs if within is None or _lies_within(pair, within)]
    for pair in chosen:
        _fold_pair(copied, pair)
    if chosen:
        _prove(expected, copied(noise), _STRICTER)
    return copied, len(chosen)


def _fold_pair(network: nn.Module, pair: Pair) -> None:
    """Give a layer the weights that include its normalisation, and take that away."""
    layer, norm = network.get_submodule(pair.layer), network.get_submodule(pair.norm)
    weight, bias = folded_weights(layer, norm)
    layer.weight, layer.bias = (nn.Parameter(each, requires_grad=False) for each in (weight, bias))
    parts = OrderedDict((name, norm.get_submodule(name)) for name in pair.parts)
    owner, _, name = pair.norm.rpartition(".")
    rest = nn.Sequential(parts) if parts else nn.Identity()
    setattr(network.get_submodule(owner), name, rest.eval())


def folded_weights(layer: Any, norm: Any) -> tuple[Tensor, Tensor]:
    """Return weight and bias with which a layer does what it and a normalisation do together.

    scale (Wx + b - mean) + shift with scale = weight / sqrt(variance + eps), in double precision.

    Args:
        layer: A convolution or linear layer, its outputs along the weight's first dimension.
        norm: A normalisation of these outputs.

    Example:
        >>> layer, norm = nn.Linear(1, 1), nn.BatchNorm1d(1, eps=0.0)
        >>> for tensor, value in ((layer.weight, 3), (layer.bias, 1), (norm.running_var, 4)):
        ...     _ = nn.init.constant_(tensor, value)
        >>> [tensor.tolist() for tensor in folded_weights(layer, norm)]
        [[[1.5]], [0.5]]
    """
    weight, shift = layer.weight, getattr(norm, "bias", None)
    scale = (_double(norm.running_var) + norm.eps).rsqrt()
    if getattr(norm, "weight", None) is not None:
        scale = scale * _double(norm.weight)
    bias = -_double(norm.running_mean) * scale
    if layer.bias is not None:
        bias += _double(layer.bias) * scale
    if shift is not None:
        bias += _double(shift)
    folded = _double(weight) * scale.view(-1, *[1] * (weight.dim() - 1))
    form = torch.channels_last if weight.dim() == 4 else torch.contiguous_format
    return folded.to(weight).contiguous(memory_format=form), bias.to(weight)


def _double(tensor: Tensor) -> Tensor:
    # On the CPU, because some accelerators have no such numbers.
    return tensor.detach().cpu().double()


def _prove(exact: Any, quick: Any, tolerance: float = TOLERANCE) -> None:
    if not isinstance(exact, Tensor):
        raise TypeError(f"the network gives a {type(exact).__name__}, not a tensor")
    if reason := differ(exact, quick, tolerance):
        raise RuntimeError(reason)


def _lies_within(pair: Pair, paths: Collection[str]) -> bool:
    return all(
        any(f"{each}.".startswith(f"{path}." if path else "") for path in paths)
        for each in (pair.layer, pair.norm)
    )
