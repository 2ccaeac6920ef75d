"""Learning without labels: two views of a picture through one network and a loss between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from graft.data.loader import Batch
from graft.pretraining.pair_loss import PairLoss
from graft.pretraining.views import SECOND
from graft.tasks import Network, Progress


@dataclass(frozen=True)
class BetweenViews:
    """A loss between the projections of two views, as an objective.

    Args:
        loss: NT-Xent, Barlow Twins, VICReg, or another.
    """

    loss: PairLoss

    streams: ClassVar[tuple[str, ...]] = (SECOND,)
    whole_batch: ClassVar[bool] = True

    def __call__(self, model: Network, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Return the loss's terms; both views go through the network together."""
        first, second = model(torch.cat([batch.inputs, batch.streams[SECOND].inputs])).chunk(2)
        return self.loss(first, second)
