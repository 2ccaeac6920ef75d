"""Full fine-tuning on photographs and on random tensors already in memory, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from setting import epochs_of, open_classifier, open_images, parser, report

import graft
from graft.config import TrainingOptions
from graft.data.augment import augmentation
from graft.data.loader import Batch
from graft.data.prefetch import PixelCache


class InTurns(graft.Loader):
    """Photographs in every other epoch; between them, batches of random numbers of their shapes."""

    def prepare(self) -> InTurns:
        """Make the batches that wait for nothing."""
        self.made = [
            replace(batch, inputs=torch.randn_like(batch.inputs)) for batch in super().epoch(0)
        ]
        return self

    def epoch(self, number: int, **options: Any) -> Iterator[Batch]:
        """Yield photographs in odd epochs, decoded and augmented as `graft fit` does."""
        yield from super().epoch(number, **options) if number % 2 else self.made


def main() -> None:
    """Measure both in one trainer, so that whatever slows the machine down slows both."""
    arguments = parser(__doc__)
    arguments.add_argument("--epochs", type=int, default=3, help="of each")
    options = arguments.parse_args()
    manifest = open_images(options.data)
    classifier = open_classifier(options, manifest.classes)
    recipe = TrainingOptions(epochs=2 * options.epochs)
    plan = graft.make_plan(
        "full",
        [stage.name for stage in classifier.backbone.stages],
        epochs=recipe.epochs,
        options=graft.StrategyOptions(head_start="random"),
    )
    train = InTurns(
        manifest.subset("train"),
        classifier.task,
        classifier.backbone.preprocess,
        batch_size=recipe.batch_size,
        augmentation=augmentation("basic"),
        shuffle=True,
    ).prepare()
    train.pixels = PixelCache()
    folder = options.scratch / "run"
    folder.mkdir(parents=True)
    val = classifier.loader(manifest.subset("val")[:8])
    graft.Trainer(classifier, plan, train, val, options=recipe, folder=folder).train()
    speeds = [line["images_per_second"] for line in epochs_of(folder)]
    report(photographs=speeds[::2], synthetic=speeds[1::2])


if __name__ == "__main__":
    main()
