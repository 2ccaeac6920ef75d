"""The monitor: after every epoch, how much is known of held-out images, and how spread they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from graft.data.loader import Batch
from graft.errors import DivergedError
from graft.pretraining.collapse import LEAST_STD, Collapse, measure_collapse
from graft.pretraining.heads import FactorHeads
from graft.procedural import UNSEEN
from graft.training import Callback, Trainer

MEASURED = 1024
"""Held-out images that are looked at after every epoch."""

PATIENCE = 3
"""Epochs that features may be alike: a network that has just begun often looks collapsed."""


class CollapseMonitor(Callback):
    """Measures on held-out images after every epoch, and ends a run whose features have collapsed.

    To the epoch's line it adds "loss", "known" (the share of each factor that is named right),
    "spread" and "effective_rank".

    Args:
        held_out: Gives so many clean images to measure on, always the same.

    Attributes:
        collapse: The last measurement.
        known: The last shares.
    """

    def __init__(self, held_out: Callable[[int], Iterable[Batch]]) -> None:
        self.held_out = held_out
        self.collapse: Collapse | None = None
        self.known: dict[str, float] = {}

    def on_validation_end(self, trainer: Trainer, line: dict[str, Any]) -> None:
        """Measure, and add to the line."""
        collapse = self._measure(trainer)
        line |= {
            "loss": line["train_loss"],
            "known": self.known,
            "spread": round(collapse.std, 4),
            "effective_rank": round(collapse.rank, 2),
            "lr": max(line["lr"].values()),
        }

    def on_epoch_end(self, trainer: Trainer, line: Mapping[str, Any]) -> None:
        """Say so where the features have collapsed.

        Raises:
            DivergedError: They have for `PATIENCE` epochs.
        """
        assert self.collapse is not None, "measured before"
        if self.collapse.collapsed:
            trainer.notify("on_message", self.collapse.message)
        last = trainer.history[-PATIENCE:]
        if len(last) == PATIENCE and all(line["spread"] < LEAST_STD for line in last):
            raise DivergedError(
                f"{self.collapse.message} So it was for {PATIENCE} epochs.",
                "Start again with other options; the last checkpoint is kept.",
            )

    def on_train_end(self, trainer: Trainer) -> None:
        """Measure a run that had no epoch left."""
        if self.collapse is None:
            self._measure(trainer)

    @torch.inference_mode()
    def _measure(self, trainer: Trainer) -> Collapse:
        """Measure features of held-out images, and what the classifiers in training know of them.

        Shares are of the images in which the factor can be seen.
        """
        model = trainer.model.eval()
        head, device = model.head, model.device
        features: list[Tensor] = []
        right: list[Tensor] = []
        seen: list[Tensor] = []
        with trainer.watch("evaluate"):
            for batch in self.held_out(MEASURED):
                moved = batch.to(device)
                found = model.body(moved.inputs)
                features.append(found.float().cpu())
                if isinstance(head, FactorHeads):
                    guesses = torch.stack([logits.argmax(1) for logits in head(found)], 1)
                    right.append((guesses == moved.targets).cpu())
                    seen.append((moved.targets != UNSEEN).cpu())
            self.collapse = measure_collapse(torch.cat(features))
        if isinstance(head, FactorHeads):
            shares = torch.cat(right).sum(0) / torch.cat(seen).sum(0).clamp(min=1)
            named = zip(head.names, shares.tolist(), strict=True)
            self.known = {name: round(share, 4) for name, share in named}
        return self.collapse
