"""Learning to say what is in a picture: a linear classifier for each thing that is known of it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from graft.data.loader import Batch
from graft.heads.linear import LinearHead
from graft.procedural import UNSEEN
from graft.tasks import Network, Progress


class FactorHeads(nn.Module):
    """One linear classifier per factor.

    Args:
        width: Features per picture.
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
    """Cross-entropy of every factor, over the pictures in which it can be seen.

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
        """Return the mean cross-entropy of each factor, in nats; 0 where no picture shows it."""
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
