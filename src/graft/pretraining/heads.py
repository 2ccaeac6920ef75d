"""Between features and a pre-training objective: projectors, a classifier for each factor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.nn import functional

from graft.data.loader import Batch
from graft.errors import RecipeError, nearest
from graft.heads.linear import LinearHead
from graft.heads.mlp import MLPHead
from graft.procedural import UNSEEN
from graft.tasks import Network, Progress

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
        width: Features per image.

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
        width: Features per image.
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


class FactorHeads(nn.Module):
    """One linear classifier per factor.

    Args:
        width: Features per image.
        factors: How many categories each has.
        taught: The classifiers see the last so many features, those of a network's last stage;
            None shows them all.
        seed: Of the initial weights.

    Example:
        >>> import torch
        >>> heads = FactorHeads(256, {"shape": 10, "palette": 4})
        >>> [tuple(logits.shape) for logits in heads(torch.zeros(3, 256))]
        [(3, 10), (3, 4)]
    """

    def __init__(
        self, width: int, factors: Mapping[str, int], *, taught: int | None = None, seed: int = 0
    ) -> None:
        super().__init__()
        self.taught = min(taught or width, width)
        self.names = tuple(factors)
        self.heads = nn.ModuleList(
            LinearHead(self.taught, count, seed=seed + index)
            for index, count in enumerate(factors.values())
        )

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return the logits (N, categories) of each factor of features (N, width)."""
        return tuple(head(features[:, -self.taught :]) for head in self.heads)


class Factors:
    """Cross-entropy of every factor, over the images in which it can be seen.

    Args:
        names: Of the factors, in the order of the labels' columns.
        label_smoothing: Share of the target spread evenly over the categories, 0 to 1.

    Example:
        >>> import torch
        >>> targets = torch.tensor([[0], [UNSEEN]])
        >>> batch = Batch(torch.zeros(2, 3, 8, 8), targets, torch.arange(2))
        >>> model = lambda images: (torch.zeros(2, 4),)
        >>> losses = Factors(("shape",))(model, batch, Progress(0, 1, 1))
        >>> round(losses["shape"].item(), 3)
        1.386
    """

    whole_batch = True

    def __init__(self, names: tuple[str, ...], label_smoothing: float = 0.0) -> None:
        self.names = names
        self.label_smoothing = label_smoothing

    def __call__(self, model: Network, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Return the mean cross-entropy of each factor, in nats; 0 where no image shows it."""
        losses = {}
        for name, logits, labels in zip(
            self.names, model(batch.inputs), batch.targets.T, strict=True
        ):
            total = functional.cross_entropy(
                logits.float(),
                labels,
                ignore_index=UNSEEN,
                label_smoothing=self.label_smoothing,
                reduction="sum",
            )
            losses[name] = total / (labels != UNSEEN).sum().clamp(min=1)
        return losses
