"""What a phase feeds its model: pictures, or rows at the cut above its frozen stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from graft.cache.activations import CLEAN, Activations, OnImages
from graft.data.loader import Batch, Loader
from graft.inference import Outputs, resting, run
from graft.model import Model
from graft.tasks import Network

VIEWS = 4
"""Augmented views per image that frozen stages see before they repeat, unless the recipe says."""

_ROWS_AT_ONCE = 256


class Inputs(Protocol):
    """Batches for training, the model that takes them, and the validation result."""

    model: Network
    """What an objective calls with a batch's images."""

    exact: bool
    """Whether validation gives the logits of `graft predict` to the last bit."""

    def prepare(self, epoch: int, told: OnImages) -> None:
        """Make what the epoch will ask for, where it can be made at once."""

    def missing(self, epoch: int) -> int:
        """Return how many images `prepare` would run through the frozen stages."""

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the training batches of an epoch, from 1."""

    def validate(self) -> Outputs:
        """Return the classifier's logits on the validation images."""


class Pictures:
    """Batches of augmented pictures, a new view of every image in every epoch.

    Args:
        classifier: What is trained.
        model: The classifier, prepared for the device.
        train: Augmented training images.
        val: Clean validation images.
    """

    exact = True

    def __init__(self, classifier: Model, model: Network, train: Loader, val: Loader) -> None:
        self.classifier, self.model = classifier, model
        self.train, self.val = train, val

    def prepare(self, epoch: int, told: OnImages) -> None:
        """Do nothing: pictures are decoded as they are needed."""

    def missing(self, epoch: int) -> int:
        """Return 0."""
        return 0

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the loader's batches."""
        return self.train.epoch(epoch)

    def validate(self) -> Outputs:
        """Run the whole classifier."""
        return run(self.classifier, self.val)


class Rows:
    """Batches of what the frozen stages made of pictures; the model is what stands above the cut.

    Args:
        classifier: What is trained; its stages below the cut do not change.
        model: The classifier, prepared for the device.
        train: Rows of augmented training images.
        val: Rows of clean validation images.
        view_of: Gives the view of the training images that an epoch looks at.
    """

    def __init__(
        self,
        classifier: Model,
        model: Callable[..., Tensor],
        train: Activations,
        val: Activations,
        view_of: Callable[[int], int],
    ) -> None:
        self.classifier, self.train, self.val, self.view_of = classifier, train, val, view_of
        self.model: Network = partial(model, above=train.prefix.features)
        self.exact = False

    def prepare(self, epoch: int, told: OnImages) -> None:
        """Make the rows of the epoch's view, and of validation, that are not kept yet."""
        self.train.prepare(self.view_of(epoch), told)
        self.val.prepare(CLEAN, told)

    def missing(self, epoch: int) -> int:
        """Return how many images `prepare` would run through the frozen stages."""
        kept = ((self.train, self.view_of(epoch)), (self.val, CLEAN))
        return sum(len(rows.missing(view)) for rows, view in kept if rows.storage is not None)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield batches of rows, in the loader's order."""
        return self.train.epoch(epoch, self.view_of(epoch))

    @torch.no_grad()
    def validate(self) -> Outputs:
        """Run what stands above the cut, in eval mode."""
        classifier, above = self.classifier, self.val.prefix.features
        logits = []
        with resting(classifier):
            for start in range(0, len(self.val.loader.samples), _ROWS_AT_ONCE):
                stop = min(start + _ROWS_AT_ONCE, len(self.val.loader.samples))
                kept = self.val.read(range(start, stop), CLEAN)
                for rows in torch.split(kept, classifier.eval_batch):
                    made = classifier(rows.to(classifier.device), above=above)
                    logits.append(made.float().cpu())
        return Outputs(torch.cat(logits), self.val.loader.targets)


def view_in(loader: Loader, views: int, epoch: int) -> int:
    """Return the view of every image that an epoch, from 1, looks at: they take turns."""
    return CLEAN if loader.augmentation is None else (epoch - 1) % views + 1
