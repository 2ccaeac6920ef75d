"""Full fine-tuning on photographs, and the same trainer on random tensors already in memory."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from setting import BACKBONE, epochs_of, open_classifier, open_images, parser, report

import graft
from graft.config import TrainingOptions
from graft.data.loader import Batch


class Synthetic(graft.Loader):
    """A loader that waits for nothing: batches of random numbers, shaped as its own."""

    def prepare(self) -> Synthetic:
        """Make the batches."""
        self.made = [
            replace(batch, images=torch.randn_like(batch.images)) for batch in super().epoch(1)
        ]
        return self

    def epoch(self, number: int, **_: Any) -> Iterator[Batch]:
        """Yield the same batches in every epoch."""
        yield from self.made


def synthetic(options: Namespace) -> list[float]:
    """Return the images per second of each epoch of the trainer on random tensors."""
    manifest = open_images(options.data)
    classifier = open_classifier(options, manifest.classes)
    recipe = TrainingOptions(epochs=options.epochs)
    plan = graft.make_plan(
        "full",
        [stage.name for stage in classifier.backbone.stages],
        epochs=options.epochs,
        options=graft.StrategyOptions(head_start="random"),
    )
    train = Synthetic(
        manifest.subset("train"),
        manifest.classes,
        classifier.backbone.preprocess,
        batch_size=recipe.batch_size,
    ).prepare()
    folder = options.scratch / "synthetic"
    folder.mkdir(parents=True)
    val = classifier.loader(manifest.subset("val")[:8])
    graft.Trainer(classifier, plan, train, val, options=recipe, folder=folder).train()
    return [line["images_per_second"] for line in epochs_of(folder)]


def main() -> None:
    """Measure both in one process."""
    arguments = parser(__doc__)
    arguments.add_argument("--epochs", type=int, default=3)
    options = arguments.parse_args()
    run = options.scratch / "photographs"
    graft.fit(
        options.data,
        backbone=BACKBONE,
        weights=str(options.weights),
        strategy="full",
        head_start="random",
        epochs=options.epochs,
        out=run,
    )
    report(
        photographs=[line["images_per_second"] for line in epochs_of(run)],
        synthetic=synthetic(options),
    )


if __name__ == "__main__":
    main()
