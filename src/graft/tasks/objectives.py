"""Objectives: what training minimises, as functions that compose.

An objective takes the model, a batch and the progress and returns named losses; the loop adds them
up and knows none of them. One objective may wrap another: `Mixup(CrossEntropy())`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from graft.data.loader import Batch


class Network(Protocol):
    """What an objective calls with a batch's inputs: the model, or what of it is above the cut."""

    def __call__(self, inputs: Tensor) -> Any:
        """Map inputs to the head's outputs (N, outputs)."""

    def features(self, inputs: Tensor) -> Tensor:
        """Map inputs to features (N, width)."""

    @property
    def head(self) -> nn.Module:
        """The head, from features to outputs."""


@dataclass(frozen=True)
class Progress:
    """Where a run is.

    Args:
        step: Optimizer steps done.
        total: Optimizer steps of the whole run.
        epoch: Epoch, from 1.
        seed: The run's seed; with `step` it seeds whatever an objective draws.
    """

    step: int
    total: int
    epoch: int
    seed: int = 0

    @property
    def fraction(self) -> float:
        """Share of the run that is done, from 0 to 1."""
        return self.step / max(1, self.total)


class Objective(Protocol):
    """`(model, batch, progress) -> named losses`; each a scalar, the mean over the batch.

    An objective that uses further batches names them in an attribute `streams`, such as
    `streams = ("target",)`, and finds them in `batch.streams`. One whose images belong together, as
    in a loss between them, sets `whole_batch = True`, and is never given a part of a batch.
    """

    def __call__(self, model: Network, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Return the named losses of one batch."""


def streams_of(objective: object) -> tuple[str, ...]:
    """Return the names of the streams that an objective declares.

    Example:
        >>> streams_of(CrossEntropy())
        ()
    """
    return tuple(getattr(objective, "streams", ()))


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy, with label smoothing and class weights.

    Args:
        label_smoothing: Share of the target spread evenly over the classes, 0 to 1 (Szegedy et al.
            2016, arXiv:1512.00567). Default 0.
        class_weights: Weight of each class, shape (classes,); None weighs all alike.

    Example:
        >>> batch = Batch(torch.zeros(2, 3, 4, 4), torch.tensor([0, 1]), torch.tensor([0, 1]))
        >>> losses = CrossEntropy()(lambda images: torch.zeros(2, 2), batch, Progress(0, 1, 1))
        >>> round(losses["cross_entropy"].item(), 4)
        0.6931
    """

    label_smoothing: float = 0.0
    class_weights: Tensor | None = None

    def __call__(self, model: Network, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Return `{"cross_entropy": mean over the batch}`; labels are indices or probabilities."""
        logits = model(batch.inputs).float()
        weights = None if self.class_weights is None else self.class_weights.to(logits)
        loss = functional.cross_entropy(
            logits, batch.targets, weight=weights, label_smoothing=self.label_smoothing
        )
        return {"cross_entropy": loss}


@dataclass(frozen=True)
class BinaryCrossEntropy:
    """Binary cross-entropy of a sigmoid per label, averaged over images and labels.

    Args:
        label_smoothing: Share of the target spread evenly over yes and no, 0 to 1. Default 0.
        positive_weights: Shape (labels,): how often an image that has the label counts; None means
            once.

    Example:
        >>> batch = Batch(torch.zeros(1, 3, 4, 4), torch.tensor([[1.0, 0.0]]), torch.tensor([0]))
        >>> objective, zero = BinaryCrossEntropy(), lambda images: torch.zeros(1, 2)
        >>> losses = objective(zero, batch, Progress(0, 1, 1))
        >>> round(losses["binary_cross_entropy"].item(), 4)
        0.6931
    """

    label_smoothing: float = 0.0
    positive_weights: Tensor | None = None

    def __call__(self, model: Network, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Return `{"binary_cross_entropy": mean}`; targets are 0, 1 or blends of them."""
        logits = model(batch.inputs).float()
        targets = batch.targets.to(logits)
        targets = targets + self.label_smoothing * (0.5 - targets)
        weights = None if self.positive_weights is None else self.positive_weights.to(logits)
        loss = functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=weights)
        return {"binary_cross_entropy": loss}


@dataclass(frozen=True)
class SquaredError:
    """Mean squared error of a number per image."""

    def __call__(self, model: Network, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Return `{"squared_error": mean over the batch}` of outputs (N, 1), targets (N,)."""
        outputs = model(batch.inputs).float().squeeze(1)
        return {"squared_error": functional.mse_loss(outputs, batch.targets.to(outputs))}


@dataclass(frozen=True)
class Mixup:
    """Mixup: blends of two images against the blend of their labels.

    Args:
        objective: What is minimised on the blends; its labels are probabilities.
        classes: Number of classes, where targets are their indices.
        alpha: Parameter of the Beta(alpha, alpha) from which each batch draws its share; above 0.

    Source:
        Zhang et al. 2018, mixup: Beyond Empirical Risk Minimization, arXiv:1710.09412, eq. 2.
    """

    objective: Objective
    classes: int
    alpha: float = 0.2

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams that the wrapped objective declares."""
        return streams_of(self.objective)

    def __call__(self, model: Network, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Return the wrapped objective's losses on blends seeded by (seed, step)."""
        rng = np.random.default_rng((progress.seed, progress.step, 0x6D1))
        share = float(rng.beta(self.alpha, self.alpha))
        partner = torch.from_numpy(rng.permutation(len(batch.targets))).to(batch.targets.device)
        target = batch.targets
        if not target.is_floating_point():
            target = functional.one_hot(target, self.classes).to(batch.inputs)
        blend = replace(
            batch,
            inputs=torch.lerp(batch.inputs[partner], batch.inputs, share),
            targets=torch.lerp(target[partner], target, share),
        )
        return self.objective(model, blend, progress)
