"""A classifier: backbone, head and class names; what is trained, saved, loaded and shipped."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from graft.backbones.backbone import Backbone
from graft.data.decode import Readable
from graft.data.loader import Loader
from graft.data.manifest import Sample
from graft.errors import DataError
from graft.files import refusals_are_named, replacing
from graft.heads import build_head
from graft.inference import Grafted, eval_batch, forward, probabilities
from graft.model_folder import checked_weights, model_folder, read_facts, write_facts
from graft.strategies import HEAD

if TYPE_CHECKING:
    from graft.data.pixel_cache import PixelCache
    from graft.heads import Head


@dataclass(frozen=True)
class Prediction:
    """What a classifier says about one image.

    Args:
        path: The image's path, or a name for one that is no file.
        label: The most probable class.
        confidence: Its probability, 0 to 1.
        top: The most probable classes with their probabilities, best first.
    """

    path: str
    label: str
    confidence: float
    top: tuple[tuple[str, float], ...]


class Classifier(Grafted):
    """A backbone with a head grafted on, and the names of the classes.

    Args:
        backbone: The trunk and what is known of it; its module becomes `trunk`.
        head: Features (N, width) to logits (N, classes).
        classes: Class names in the order of the logits.
    """

    head: Head

    def __init__(self, backbone: Backbone, head: Head, classes: Sequence[str]) -> None:
        super().__init__()
        self.backbone = backbone
        self.trunk = backbone.module
        self.head = head
        self.classes = tuple(classes)

    def forward(self, images: Tensor, above: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Map normalised images (N, 3, H, W) to logits (N, classes).

        Args:
            images: The images; with `above`, what its frozen stages made of them.
            above: The rest of the trunk, in the trunk's place.
        """
        logits = self.head(self.trunk(images) if above is None else above(images))
        assert isinstance(logits, Tensor)
        return logits

    @property
    def device(self) -> torch.device:
        """The device that holds the parameters."""
        return next(self.parameters()).device

    @property
    def eval_batch(self) -> int:
        """Images per forward pass where nothing is learned."""
        return eval_batch(self.device)

    def parameters_by_stage(self) -> dict[str, list[nn.Parameter]]:
        """Return every parameter under its stage, in execution order, `"head"` last."""
        stages = {
            stage.name: [self.trunk.get_parameter(name) for name in stage.parameters]
            for stage in self.backbone.stages
        }
        return {**stages, HEAD: list(self.head.parameters())}

    def count_parameters(self) -> dict[str, int]:
        """Return the number of parameters of each stage and of `"head"`."""
        return {
            stage: sum(parameter.numel() for parameter in parameters)
            for stage, parameters in self.parameters_by_stage().items()
        }

    def loader(
        self,
        images: Sequence[Sample | Readable],
        *,
        workers: int | None = None,
        failures: dict[int, str] | None = None,
        pixels: PixelCache | None = None,
    ) -> Loader:
        """Return a loader of the clean views of images, in order, in batches of `eval_batch`.

        Args:
            images: Samples of a manifest, or anything `decode` reads.
            workers: Threads that decode; None means one per core.
            failures: As in `Loader`: takes the reasons of images that cannot be read.
            pixels: As in `Loader`: keeps decoded pictures.
        """
        return Loader(
            images,
            self.classes,
            self.backbone.preprocess,
            batch_size=self.eval_batch,
            workers=workers,
            pad=True,
            failures=failures,
            pixels=pixels,
        )

    def predict(
        self,
        images: Readable | Sequence[Readable],
        *,
        top: int = 5,
        workers: int | None = None,
    ) -> list[Prediction]:
        """Predict images: paths, bytes, Pillow images or uint8 arrays (H, W, 3), one or many.

        Args:
            images: One image, or a list or tuple of them. A folder is not an image.
            top: Most probable classes to name.
            workers: Threads that decode; None means one per core.

        Returns:
            A prediction for each image, in order.

        Raises:
            DataError: An image cannot be read.
        """
        sources = list(images) if isinstance(images, list | tuple) else [cast(Readable, images)]
        found = []
        loader = self.loader(sources, workers=workers)
        for batch, logits in forward(self, loader.epoch(0)):
            for index, row in zip(batch.indices.tolist(), probabilities(logits), strict=True):
                source = sources[index]
                named = isinstance(source, (str, os.PathLike))
                path = os.fspath(source) if named else f"image {index}"
                found.append(self.name_classes(path, row, top=top))
        return found

    def name_classes(self, path: str, row: Tensor, *, top: int = 5) -> Prediction:
        """Turn one row of probabilities (classes,) into a prediction."""
        values, order = row.sort(descending=True, stable=True)
        ranked = tuple(
            (self.classes[index], value)
            for index, value in zip(order[:top].tolist(), values[:top].tolist(), strict=True)
        )
        return Prediction(path, ranked[0][0], ranked[0][1], ranked)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Load tensors that `state_dict` of such a classifier gave.

        Some networks ask a state dict for torch's version marks, which neither a copy nor a
        safetensors file carries; the tensors come from this version, so its own marks hold.
        """
        own = self.state_dict()
        marked = type(own)(state)
        marked._metadata = getattr(own, "_metadata", {})  # type: ignore[attr-defined]
        self.load_state_dict(marked)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write `model.safetensors` and `model.json` into a folder, each whole or not at all.

        Raises:
            ResourceError: The disk is full or the folder cannot be written.
        """
        target = Path(folder)
        with refusals_are_named(target):
            target.mkdir(parents=True, exist_ok=True)
        weights = target / "model.safetensors"
        with replacing(weights) as temporary:
            save_file(
                {name: tensor.contiguous().cpu() for name, tensor in self.state_dict().items()},
                temporary,
            )
        return write_facts(
            target,
            classes=self.classes,
            backbone=self.backbone.record(),
            head=self.head.record(),
        )

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Classifier:
        """Read a saved classifier, on the CPU and in eval mode.

        Args:
            folder: A model folder, or a run folder with one in it.

        Raises:
            DataError: There is no model, it is damaged, or a newer Graft wrote it.
        """
        place = model_folder(folder)
        facts = read_facts(place)
        if facts["head"] is None:
            raise DataError(
                f"'{folder}' holds a backbone without a head, which knows no classes.",
                f"Train a head on it first: graft fit DIR --backbone {folder}",
            )
        weights = checked_weights(place, facts)
        try:
            classifier = cls(
                Backbone.from_record(facts["backbone"]),
                build_head(facts["head"]),
                facts["classes"],
            )
            classifier.restore(load_file(weights))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise DataError(
                f"The model in '{place}' is damaged: {error}.",
                "Copy the whole folder again, or repeat the run.",
            ) from error
        return classifier.to(memory_format=torch.channels_last).eval()


load = Classifier.load
"""`graft.load(MODEL)`: the classifier in a run folder or a model folder."""
