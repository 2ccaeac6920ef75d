"""The projector: what stands between features and a self-supervised loss, and is dropped later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graft.errors import RecipeError, nearest
from graft.heads.mlp import MLPHead

FEATURES = 0
"""Stands for the width of the features in `WIDTHS`."""

WIDTHS: Mapping[str, tuple[int, ...]] = {
    "simclr": (FEATURES, 128),
    "barlow-twins": (512, 512, 512),
    "vicreg": (512, 512, 512),
}
"""Width of each layer by method. SimCLR's is the paper's; the others' are 8192 wide on many GPUs,
and gain from width, so widen them where there is time."""


def projector_widths(method: str, width: int) -> tuple[int, ...]:
    """Return the usual width of each layer of a method's projector.

    Args:
        method: "simclr", "barlow-twins" or "vicreg".
        width: Features per picture.

    Raises:
        RecipeError: The method is unknown.

    Example:
        >>> projector_widths("simclr", 256)
        (256, 128)
    """
    if method not in WIDTHS:
        near = nearest(method, WIDTHS)
        raise RecipeError(f"There is no projector for '{method}'.", f"The nearest are {near}.")
    return tuple(width if layer == FEATURES else layer for layer in WIDTHS[method])


def make_projector(width: int, widths: Sequence[int], *, seed: int = 0) -> MLPHead:
    """Build a projector: linear, batch normalisation, ReLU for each layer but the last, a linear.

    Args:
        width: Features per picture.
        widths: Width of each layer, at least two; the last is that of the projections.
        seed: Of the initial weights, which depend on nothing else.

    Returns:
        A module from features (N, width) to projections (N, widths[-1]).

    Raises:
        RecipeError: There are fewer than two layers, or one without width.

    Example:
        >>> import torch
        >>> projector = make_projector(256, projector_widths("simclr", 256))
        >>> tuple(projector(torch.zeros(4, 256)).shape)
        (4, 128)
    """
    if len(widths) < 2 or min(widths) < 1:
        raise RecipeError(
            f"A projector of widths {tuple(widths)} was asked for.",
            "Give the width of at least two layers, such as 512, 512, 512.",
        )
    *hidden, projections = widths
    return MLPHead(width, projections, hidden, normalization="batch", seed=seed)
