"""Learning without labels: two views of a picture through one network and a loss between them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graft.pretraining.pair_loss import PairLoss
from graft.pretraining.pictures import PretextBatch
from graft.tasks import Network, Progress


@dataclass(frozen=True)
class BetweenViews:
    """A loss between the projections of two views, as an objective.

    Args:
        loss: NT-Xent, Barlow Twins, VICReg, or another.
    """

    loss: PairLoss

    def __call__(
        self, model: Network, batch: PretextBatch, progress: Progress
    ) -> dict[str, Tensor]:
        """Return the loss's terms; both views go through the network together."""
        first, second = model(torch.cat(batch.views)).chunk(2)
        return self.loss(first, second)
