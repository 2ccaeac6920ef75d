"""The backbone that is judged, and the same network with random weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.quality.tasks import Task
from graft.backbones.backbone import Backbone
from graft.backbones.load import load_backbone
from graft.backbones.saved import is_saved
from graft.data.loader import Loader
from graft.inference import eval_batch, run


@dataclass(frozen=True)
class Candidate:
    """How to get the backbone that is judged.

    Args:
        name: As `--backbone` takes it: a name, or the folder of a model or a run.
        weights: A local weights file in place of the published ones.
        image_size: Side of the input in pixels; None means the weights' own.
    """

    name: str
    weights: Path | None = None
    image_size: int | None = None

    @property
    def label(self) -> str:
        """What tables call it."""
        return Path(self.name).name if is_saved(self.name) else self.name.rpartition(":")[2]

    def load(self) -> Backbone:
        """Return it with its weights."""
        return load_backbone(self.name, weights=self.weights, image_size=self.image_size)

    def on_meta(self) -> Backbone:
        """Return it without values."""
        return load_backbone(self.name, weights=self.weights, image_size=self.image_size, meta=True)

    def random(self, seed: int) -> Backbone:
        """Return the same network with random weights, as training from scratch begins with."""
        return load_backbone(self.name, pretrained=False, image_size=self.image_size, seed=seed)


def features(backbone: Backbone, task: Task) -> Tensor:
    """Return what a frozen backbone makes of the clean views of a task's images, (N, width)."""
    module = backbone.module.to(memory_format=torch.channels_last).eval()
    batch = eval_batch(torch.device("cpu"))
    loader = Loader(task.images, None, backbone.preprocess, batch_size=batch, pad=True)
    return run(module, loader).values
