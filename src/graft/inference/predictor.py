"""The predictor: a model prepared for prediction once, and shared by any number of threads."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from graft.data.decode import Readable
from graft.data.loader import Batch, Loader
from graft.data.manifest import Sample
from graft.data.preprocess import Preprocess
from graft.errors import GraftError
from graft.host import survive_fork
from graft.inference.engine import Engine, run_head
from graft.inference.passes import Outputs, require_finite
from graft.machine import available_cores


@dataclass(frozen=True)
class Unreadable:
    """An image that could not be predicted.

    Args:
        path: Where it is.
        reason: Why it cannot be read.
    """

    path: str
    reason: str


class Answers(Protocol):
    """The part of a task that a predictor uses."""

    def targets(self, samples: Sequence[object]) -> Tensor:
        """Return the target of each of N samples, shape (N, ...)."""

    def activate(self, outputs: Tensor) -> Tensor:
        """Turn outputs (N, outputs) into what is shown."""

    def prediction(self, path: str, row: Tensor, *, top: int = 5) -> Any:
        """Return the prediction of one image."""


class Answering(Protocol):
    """What a predictor is made from: every `graft.model.Model`."""

    body: nn.Module
    backbone: Any

    @property
    def head(self) -> nn.Module:
        """Features (N, width) to outputs."""

    @property
    def task(self) -> Answers:
        """What the outputs mean."""


class Predictor:
    """A model prepared for prediction: eval mode, BatchNorm folded once, decoding threads kept.

    It holds a copy of the weights, so later changes of the model change no prediction. It
    may be called from several threads at once, and changes no setting of torch or of the process,
    except in a fork of it: see `graft.host.survive_fork`. An image gets the same numbers, to the
    last bit, alone and among any others.

    Args:
        model: A `Model`, on the device where it is to run.
        workers: Threads that decode; None means one per core.

    Example:
        >>> from graft.backbones.load import load_backbone
        >>> from graft.heads.linear import LinearHead
        >>> from graft.model import Classifier
        >>> backbone = load_backbone("graft-small", pretrained=False, image_size=32)
        >>> model = Classifier(backbone, LinearHead(backbone.width, 2), ("ants", "bees"))
        >>> with Predictor(model) as predictor:
        ...     len(predictor.predict([torch.zeros(40, 30, 3, dtype=torch.uint8).numpy()] * 3))
        3
    """

    def __init__(self, model: Answering, *, workers: int | None = None) -> None:
        self.task = model.task
        self.preprocess: Preprocess = model.backbone.preprocess
        self.workers = max(1, available_cores() if workers is None else workers)
        with torch.inference_mode(False), torch.no_grad():
            self._trunk, self._head = copy.deepcopy((model.body, model.head))
        self._head.eval()
        self._trunk.eval()
        self._closed = False
        self._make_ready()

    def _make_ready(self) -> None:
        """Make what belongs to one process: threads, and locks that a thread may hold."""
        self._process = os.getpid()
        self._engine = Engine(self._trunk)
        self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="graft-decode")

    def __enter__(self) -> Predictor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the decoding threads; nothing can be predicted afterwards."""
        self._closed = True
        if self._process == os.getpid():
            self._pool.shutdown(cancel_futures=True)

    def still_holds(self, model: Answering) -> bool:
        """Whether a model would predict the same: every weight and every layer is what it was.

        Args:
            model: As the predictor was made from.
        """
        survive_fork()
        if self.task is not model.task or self.preprocess is not model.backbone.preprocess:
            return False
        pairs = (self._trunk, model.body), (self._head, model.head)
        return all(_same(mine, theirs) for mine, theirs in pairs)

    def predict(self, images: Readable | Sequence[Readable], *, top: int = 5) -> list[Any]:
        """Predict images: paths, bytes, Pillow images or uint8 arrays (H, W, 3), one or many.

        Args:
            images: One image, or a list or tuple of them. A folder is not an image.
            top: Most answers to name, such as classes.

        Returns:
            A prediction for each image, in order, of the kind that the task makes.

        Raises:
            DataError: An image cannot be read, or the model's outputs for it are not finite.
        """
        sources = list(images) if isinstance(images, list | tuple) else [cast(Readable, images)]
        return [
            self.task.prediction(_name(sources[index], index), row, top=top)
            for batch, outputs in self._forward(self._loader(sources))
            for index, row in zip(batch.indices.tolist(), self.task.activate(outputs), strict=True)
        ]

    def stream(self, images: Sequence[Readable], *, top: int = 5) -> Iterator[Any]:
        """Predict images as they are read, in order.

        Args:
            images: As `predict` takes them.
            top: Most answers to name, such as classes.

        Yields:
            A prediction per image, of the kind that the task makes, or an `Unreadable`.

        Raises:
            DataError: The model's outputs for an image are not finite.
        """
        failures: dict[int, str] = {}
        waiting = 0
        for batch, outputs in self._forward(self._loader(images, failures)):
            rows = dict(zip(batch.indices.tolist(), self.task.activate(outputs), strict=True))
            while waiting in rows or waiting in failures:
                name = _name(images[waiting], waiting)
                if waiting in failures:
                    yield Unreadable(name, failures[waiting])
                else:
                    yield self.task.prediction(name, rows[waiting], top=top)
                waiting += 1
        for index in range(waiting, len(images)):
            yield Unreadable(_name(images[index], index), failures[index])

    def outputs(self, images: Sequence[Sample | Readable]) -> Outputs:
        """Return what the model makes of images: logits for a classifier.

        Args:
            images: Samples of a manifest, or anything that `predict` takes.

        Raises:
            DataError: An image cannot be read, or its outputs are not finite.
        """
        loader = self._loader(images)
        values = [outputs for _, outputs in self._forward(loader)]
        return Outputs(torch.cat(values), loader.targets)

    def _loader(
        self, images: Sequence[Sample | Readable], failures: dict[int, str] | None = None
    ) -> Loader:
        if self._closed:
            raise GraftError("This predictor is closed.", "Make another one.")
        survive_fork()
        if self._process != os.getpid():
            self._make_ready()
        return Loader(
            images,
            self.task,
            self.preprocess,
            batch_size=self._engine.batch,
            balanced=False,
            workers=self.workers,
            failures=failures,
            pool=self._pool,
        )

    @torch.no_grad()
    def _forward(self, loader: Loader) -> Iterator[tuple[Batch, Tensor]]:
        for batch in loader.epoch(0):
            if not len(batch):
                continue  # none of its images can be read
            features = self._engine(batch.inputs)
            outputs = run_head(self._head, features, self._engine.batch)
            if not outputs.isfinite().all():
                for index, row in zip(batch.indices.tolist(), outputs, strict=True):
                    name = _name(loader.samples[index], index)
                    require_finite(row[None], f"The model's outputs for '{name}'")
            yield batch, outputs


def _name(source: Sample | Readable, index: int) -> str:
    if isinstance(source, Sample):
        return source.path
    return os.fspath(source) if isinstance(source, str | os.PathLike) else f"image {index}"


def _same(one: nn.Module, other: nn.Module) -> bool:
    """Whether two networks have the same kinds of layers and the same numbers, to the bit."""
    if [type(each) for each in one.modules()] != [type(each) for each in other.modules()]:
        return False
    mine, theirs = ([*each.parameters(), *each.buffers()] for each in (one, other))
    return len(mine) == len(theirs) and all(
        a.device == b.device and a.dtype == b.dtype and torch.equal(a, b)
        for a, b in zip(mine, theirs, strict=True)
    )
