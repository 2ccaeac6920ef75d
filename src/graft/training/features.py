"""Where a phase's batches come from: images, or activations at the cut above its frozen stages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from graft.cache.activations import CLEAN, Activations, FrozenPrefix
from graft.cache.feature_cache import FeatureCache
from graft.config import TrainingOptions
from graft.data.loader import Batches, Loader
from graft.errors import BackboneError, DataError, DivergedError
from graft.inference import Outputs, eval_mode, run
from graft.machine import Stopwatch
from graft.model import Model
from graft.strategies import HEAD, Phase, Plan

VIEWS = 4
"""Default number of augmented views per image of which activations are made."""

SAMPLED, SAMPLED_AT_LEAST, SAMPLED_AT_MOST = 4, 100, 500
"""After each epoch one of so many training images is looked at again, but at least and at most so
many images: a pass over a quarter of them costs about a twelfth of the epoch."""

_ACTIVATIONS_AT_ONCE = 256


class Source(Protocol):
    """Batches, epoch after epoch, each epoch a function of its number; a `Loader` is one."""

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""

    def epoch(self, number: int, *, start: int = 0) -> Batches:
        """Yield the batches of an epoch, from 1.

        Args:
            number: The epoch.
            start: Batches at its beginning to leave out.
        """


def train_sample(model: Model, clean: Loader, seed: int) -> Loader:
    """Return the clean training images on which every epoch is measured, always the same ones.

    Args:
        model: Gives the loader.
        clean: All clean training images.
        seed: Of the draw, which takes nothing from torch's generators.
    """
    count = len(clean.samples)
    wanted = min(max(count // SAMPLED, SAMPLED_AT_LEAST), SAMPLED_AT_MOST, count)
    drawn = np.sort(np.random.default_rng(seed).permutation(count)[:wanted])
    chosen = [clean.samples[position] for position in drawn.tolist()]
    return model.loader(chosen, workers=clean.workers, pixels=clean.pixels)


class Stream:
    """The batches of a source by optimizer step, as images or as activations at a cut.

    Which batch belongs to a step follows from the step alone, so a resumed run sees the same.

    Args:
        name: What the source is, as it appears in messages.
        source: Gives the images.
        activations: What frozen stages made of them; None where the whole network runs.
        views: Augmented views of each image of which activations are made.

    Raises:
        DataError: The source has no batches.
    """

    def __init__(
        self, name: str, source: Source, activations: Activations | None = None, views: int = VIEWS
    ) -> None:
        if not len(source):
            raise DataError(f"There are no {name}.", "Give at least one image.")
        self.source, self.activations, self._views = source, activations, views

    def view(self, epoch: int) -> int:
        """Return the view that an epoch of the source, from 1, uses; the views alternate."""
        augmented = isinstance(self.source, Loader) and self.source.augmentation is not None
        return (epoch - 1) % self._views + 1 if augmented else CLEAN

    def views(self, step: int, count: int) -> list[int]:
        """Return the different views that `count` steps use, from `step` on."""
        first, last = step // len(self.source), (step + count - 1) // len(self.source)
        return list(dict.fromkeys(self.view(number + 1) for number in range(first, last + 1)))

    def batches(self, step: int, count: int) -> Batches:
        """Yield the batches of so many steps, from `step` on; closing stops the threads."""
        while count > 0:
            number, start = divmod(step, len(self.source))
            taken = min(count, len(self.source) - start)
            with closing(self._epoch(number + 1, start)) as epoch:
                yield from islice(epoch, taken)
            step, count = step + taken, count - taken

    def _epoch(self, number: int, start: int) -> Batches:
        if self.activations is None:
            return self.source.epoch(number, start=start)
        return self.activations.epoch(number, self.view(number), start=start)


class PhaseNetwork:
    """A model as an objective calls it: whole on images, or the part of it above a cut.

    Args:
        model: What is trained.
        above: Maps activations to features; None where batches are images.
    """

    def __init__(self, model: Model, above: Callable[[Tensor], Tensor] | None = None) -> None:
        self.model, self.above = model, above

    def __call__(self, inputs: Tensor) -> Any:
        """Map a batch's inputs to the head's outputs."""
        return self.model(inputs) if self.above is None else self.model(inputs, self.above)

    def features(self, inputs: Tensor) -> Tensor:
        """Map a batch's inputs to features (N, width)."""
        features: Tensor = (self.above or self.model.body)(inputs)
        return features

    @property
    def head(self) -> nn.Module:
        """The head, from features to outputs."""
        return self.model.head


class PhaseSource:
    """Batches for a phase's epochs, the network that takes them, and what it is measured on.

    Args:
        network: What an objective calls.
        train: The training images; its length is that of an epoch.
        streams: Further batches of every step, by name.
        val: Validation images, or their activations; None validates nothing.
        sample: A few clean training images, or their activations; None measures nothing on them.
    """

    def __init__(
        self,
        network: PhaseNetwork,
        train: Stream,
        streams: Mapping[str, Stream],
        val: Loader | Activations | None,
        sample: Loader | Activations | None = None,
    ) -> None:
        self.network, self.train, self.streams = network, train, streams
        self.val, self.sample = val, sample
        self.exact = not isinstance(val, Activations)
        """Whether validation gives the outputs of `graft predict` to the last bit."""

    def epoch(self, epoch: int) -> Batches:
        """Yield the batches of an epoch, from 1, with those of the streams; closing stops all."""
        count = len(self.train.source)
        step = (epoch - 1) * count
        with ExitStack() as stack:
            iterators = {
                name: stack.enter_context(closing(stream.batches(step, count)))
                for name, stream in self.streams.items()
            }
            for batch in stack.enter_context(closing(self.train.batches(step, count))):
                further = {name: next(batches) for name, batches in iterators.items()}
                yield replace(batch, streams={**batch.streams, **further}) if further else batch

    def missing(self, epoch: int) -> int:
        """Return how many images `prepare` would run through the frozen stages."""
        return sum(
            len(activations.missing(view))
            for activations, view in self._looked_at(epoch)
            if activations.storage is not None
        )

    def prepare(self, epoch: int, on_images: Callable[[int], None]) -> None:
        """Make the activations that an epoch and its validation use and that are not kept."""
        for activations, view in self._looked_at(epoch):
            activations.prepare(view, on_images)

    def _looked_at(self, epoch: int) -> Iterator[tuple[Activations, int]]:
        count = len(self.train.source)
        for stream in (self.train, *self.streams.values()):
            if stream.activations is not None:
                for view in stream.views((epoch - 1) * count, count):
                    yield stream.activations, view
        for measured in (self.val, self.sample):
            if isinstance(measured, Activations):
                yield measured, CLEAN

    def outputs(self, images: Loader | Activations | None) -> Outputs | None:
        """Return the model's outputs, in eval mode, on `val` or `sample`; None for none."""
        if isinstance(images, Activations):
            return self._outputs_above(images)
        return None if images is None else run(self.network.model, images)

    @torch.no_grad()
    def _outputs_above(self, images: Activations) -> Outputs:
        model, above = self.network.model, images.prefix.features
        made = []
        with eval_mode(model):
            for start in range(0, len(images.loader.samples), _ACTIVATIONS_AT_ONCE):
                stop = min(start + _ACTIVATIONS_AT_ONCE, len(images.loader.samples))
                kept = images.read(range(start, stop), CLEAN)
                for part in torch.split(kept, model.eval_batch):
                    made.append(model(part.to(model.device), above=above).float().cpu())
        return Outputs(torch.cat(made), images.loader.targets)


@dataclass(frozen=True)
class Features:
    """What the whole backbone makes of the images.

    Args:
        train: (N, width), of the clean training images.
        val: (M, width), of the validation images.
        view: Gives (N, width) of an augmented view of the training images, from 1.
    """

    train: Tensor
    val: Tensor
    view: Callable[[int], Tensor]


@dataclass(frozen=True)
class FeatureSource:
    """Finds, for each phase of a plan, what needs to be computed only once.

    Args:
        model: What is trained.
        plan: Says what is frozen.
        train: Augmented training images.
        val: Clean validation images; None validates nothing.
        clean: Clean training images, which a solved head is fitted to.
        sample: A few of them, on which every epoch is measured; None measures nothing on them.
        streams: Further sources by name, of which every step gets a batch.
        options: Number of views, precision.
        cache: Keeps activations.
        on_progress: Called with the images that frozen stages have run over, and their total.
        on_message: Called where a cut cannot be used.
        watch: Takes the seconds of `extract`.
    """

    model: Model
    plan: Plan
    train: Source
    val: Loader | None
    clean: Loader | None
    sample: Loader | None
    streams: Mapping[str, Source]
    options: TrainingOptions
    cache: FeatureCache
    on_progress: Callable[[int, int], None]
    on_message: Callable[[str], None]
    watch: Stopwatch

    def features(self, fingerprints: Mapping[str, str]) -> Features:
        """Return the whole backbone's features of clean training and validation images.

        Args:
            fingerprints: Hash of every stage.

        Raises:
            DivergedError: They are not finite.
        """
        assert self.clean is not None, "a head is solved on a loader's images"
        assert self.val is not None, "a solved head is measured on validation images"
        backbone, precision = self.model.backbone, self.options.precision
        weights = combined(self.plan.stages, fingerprints)
        prefix = FrozenPrefix(backbone, HEAD, precision=precision)
        train, val = (
            self.cache.activations(what, loader, prefix, weights, views=[CLEAN], uses=1)
            for what, loader in (
                ("training images", self.clean),
                ("validation images", self.val),
            )
        )
        missing = len(train.missing(CLEAN)) + len(val.missing(CLEAN))
        counted = self.counter(missing)
        of_train, of_val = (self._everything(each, CLEAN, counted) for each in (train, val))
        refusal = self.cache.prove(train)
        if refusal is not None:
            self.on_message(f"Cached features are not used: {refusal}.")
            train, val = (Activations(each.loader, prefix, None) for each in (train, val))
            counted = self.counter(len(train.loader.samples) + len(val.loader.samples))
            of_train, of_val = (self._everything(each, CLEAN, counted) for each in (train, val))

        def view(number: int) -> Tensor:
            assert isinstance(self.train, Loader), "a head is solved on loaders"
            augmented = self.cache.activations(
                "augmented training images", self.train, prefix, weights, views=[number], uses=1
            )
            return self._everything(augmented, number, self.counter(len(augmented.missing(number))))

        return Features(of_train, of_val, view)

    def counter(self, total: int) -> Callable[[int], None]:
        """Return what is called with each further number of images, of a total."""
        done = 0

        def count(images: int) -> None:
            nonlocal done
            done += images
            self.on_progress(done, total)

        if total:
            count(0)
        return count

    def _everything(
        self, activations: Activations, view: int, counted: Callable[[int], None]
    ) -> Tensor:
        with self.watch("extract"):
            made = activations.everything(view, counted)
        if not torch.isfinite(made).all():
            raise DivergedError(
                f"The backbone {self.model.backbone.name} makes features that are not finite.",
                "Its weights are damaged, or of another architecture.",
            )
        return made

    def phase(
        self,
        phase: Phase,
        fingerprints: Mapping[str, str],
        epochs: range,
    ) -> PhaseSource:
        """Return where a phase's batches come from.

        Args:
            phase: One that trains by gradient.
            fingerprints: Hash of every stage that it freezes.
            epochs: The epochs of it that are to come, at most.
        """
        stages, cut = self.plan.stages, self.plan.cut(phase)
        if cut != stages[0]:
            below = stages if cut == HEAD else stages[: stages.index(cut)]
            try:
                return self._at_cut(cut, combined(below, fingerprints), epochs)
            except BackboneError as error:
                self.on_message(f"Frozen stages run again in every epoch: {error.problem}")
        streams = {name: Stream(name, source) for name, source in self.streams.items()}
        train = Stream("training images", self.train)
        return PhaseSource(PhaseNetwork(self.model), train, streams, self.val, self.sample)

    def _at_cut(self, cut: str, weights: str, epochs: range) -> PhaseSource:
        """Return batches of activations.

        Raises:
            BackboneError: The network cannot be cut there, or the activations are not to be
                trusted, or a source gives no images that they could be kept for.
        """
        prefix = FrozenPrefix(self.model.backbone, cut, precision=self.options.precision)
        count = len(self.train)
        step, steps = (epochs.start - 1) * count, len(epochs) * count
        loaded = [
            self._stream(name, source, prefix, weights, step, steps)
            for name, source in [("training images", self.train), *self.streams.items()]
        ]
        train, streams = loaded[0], dict(zip(self.streams, loaded[1:], strict=True))
        val, sample = (
            images
            and self.cache.activations(
                what, images, prefix, weights, views=[CLEAN], uses=len(epochs)
            )
            for what, images in (("validation images", self.val), ("training sample", self.sample))
        )
        assert train.activations is not None
        refusal = self.cache.prove(train.activations, train.view(epochs.start))
        if refusal is not None:
            raise BackboneError(f"{refusal}.")
        network = PhaseNetwork(self.model, prefix.features)
        return PhaseSource(network, train, streams, val, sample)

    def _stream(
        self, name: str, source: Source, prefix: FrozenPrefix, weights: str, step: int, steps: int
    ) -> Stream:
        if not isinstance(source, Loader):
            raise BackboneError(f"the {name} are not read by a Loader, so nothing is kept of them.")
        views = self.options.views or VIEWS
        looks = Stream(name, source, views=views).views(step, steps)
        uses = (step + steps - 1) // len(source) - step // len(source) + 1
        activations = self.cache.activations(name, source, prefix, weights, views=looks, uses=uses)
        return Stream(name, source, activations, views)


def combined(stages: tuple[str, ...], fingerprints: Mapping[str, str]) -> str:
    """Return one hash of everything that some stages hold."""
    return hashlib.sha256("".join(fingerprints[name] for name in stages).encode()).hexdigest()
