"""What a phase is fed with: rows at the cut above its frozen stages, where they can be trusted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from graft.cache.activations import CLEAN, Activations
from graft.cache.feature_cache import FeatureCache
from graft.cache.frozen import FrozenPrefix
from graft.config import TrainingOptions
from graft.data.loader import Loader
from graft.errors import BackboneError, DivergedError
from graft.model import Model
from graft.strategies import HEAD, Phase, Plan
from graft.tasks import Network
from graft.timing import Stopwatch
from graft.training.events import Listener
from graft.training.inputs import VIEWS, Inputs, Pictures, Rows, view_in


@dataclass(frozen=True)
class Features:
    """What the whole trunk makes of the images.

    Args:
        train: (N, width), of the clean training images.
        val: (M, width), of the validation images.
        view: Gives (N, width) of an augmented view of the training images, from 1.
    """

    train: Tensor
    val: Tensor
    view: Callable[[int], Tensor]


class Feed:
    """Finds, for each phase of a plan, what needs to be computed only once.

    Args:
        classifier: What is trained.
        plan: Says what is frozen.
        train: Loader of augmented training images.
        clean: Loader of clean training images.
        val: Loader of clean validation images.
        options: Number of views, precision.
        cache: Keeps the rows.
        listener: Hears of extraction, and of a cut that cannot be used.
        watch: Takes the seconds of `extract`.
    """

    def __init__(
        self,
        classifier: Model,
        plan: Plan,
        train: Loader,
        clean: Loader,
        val: Loader,
        *,
        options: TrainingOptions,
        cache: FeatureCache,
        listener: Listener,
        watch: Stopwatch,
    ) -> None:
        self.classifier, self.plan = classifier, plan
        self.train, self.clean, self.val = train, clean, val
        self.options, self.cache = options, cache
        self.listener, self.watch = listener, watch

    def features(self, fingerprints: Mapping[str, str]) -> Features:
        """Return the whole trunk's features of clean training and validation images.

        Args:
            fingerprints: Hash of every stage.

        Raises:
            DivergedError: They are not finite.
        """
        backbone, precision = self.classifier.backbone, self.options.precision
        weights = _combined(self.plan.stages, fingerprints)
        prefix = FrozenPrefix(backbone, HEAD, precision=precision)
        train, val = (
            self.cache.activations(what, loader, prefix, weights, views=[CLEAN], uses=1)
            for what, loader in (
                ("training images", self.clean),
                ("validation images", self.val),
            )
        )
        missing = len(train.missing(CLEAN)) + len(val.missing(CLEAN))
        if missing:
            self.listener.extracting(missing)
        of_train, of_val = (self._everything(each, CLEAN) for each in (train, val))
        refusal = self.cache.prove(train)
        if refusal is not None:
            self.listener.say(f"Cached features are not used: {refusal}.")
            train, val = (Activations(each.loader, prefix, None) for each in (train, val))
            of_train, of_val = (self._everything(each, CLEAN) for each in (train, val))

        def view(number: int) -> Tensor:
            rows = self.cache.activations(
                "augmented training images", self.train, prefix, weights, views=[number], uses=1
            )
            self.listener.extracting(max(1, len(rows.missing(number))))
            return self._everything(rows, number)

        return Features(of_train, of_val, view)

    def _everything(self, rows: Activations, view: int) -> Tensor:
        with self.watch("extract"):
            made = rows.everything(view, self.listener.extracted)
        if not torch.isfinite(made).all():
            raise DivergedError(
                f"The backbone {self.classifier.backbone.name} makes features that are not finite.",
                "Its weights are damaged, or of another architecture.",
            )
        return made

    def inputs(
        self, model: Network, phase: Phase, fingerprints: Mapping[str, str], epochs: range
    ) -> Inputs:
        """Return what a phase's epochs are fed with.

        Args:
            model: The classifier, prepared for the device.
            phase: One that trains by gradient.
            fingerprints: Hash of every stage that it freezes.
            epochs: The epochs of it that are to come, at most.
        """
        pictures = Pictures(self.classifier, model, self.train, self.val)
        stages, cut = self.plan.stages, self.plan.cut(phase)
        if cut == stages[0]:
            return pictures
        below = stages if cut == HEAD else stages[: stages.index(cut)]
        try:
            return self._rows(model, cut, _combined(below, fingerprints), epochs)
        except BackboneError as error:
            self.listener.say(f"Frozen stages run again in every epoch: {error.problem}")
            return pictures

    def _rows(self, model: Network, cut: str, weights: str, epochs: range) -> Rows:
        """Return rows at a cut.

        Raises:
            BackboneError: The network cannot be cut there, or the rows are not to be trusted.
        """
        view_of = partial(view_in, self.train, self.options.views or VIEWS)
        views = list(dict.fromkeys(map(view_of, epochs)))
        prefix = FrozenPrefix(self.classifier.backbone, cut, precision=self.options.precision)
        train = self.cache.activations(
            "training images", self.train, prefix, weights, views=views, uses=len(epochs)
        )
        val = self.cache.activations(
            "validation images", self.val, prefix, weights, views=[CLEAN], uses=len(epochs)
        )
        refusal = self.cache.prove(train, views[0])
        if refusal is not None:
            raise BackboneError(f"{refusal}.")
        return Rows(self.classifier, model, train, val, view_of)


def _combined(stages: tuple[str, ...], fingerprints: Mapping[str, str]) -> str:
    """Return one hash of everything that some stages hold."""
    return hashlib.sha256("".join(fingerprints[name] for name in stages).encode()).hexdigest()
