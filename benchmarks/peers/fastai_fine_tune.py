"""fastai's `vision_learner` and `fine_tune`, as its quick start shows them.

The defaults are fastai's: batches of 64, one epoch of the head alone, then all layers with
discriminative rates. The body is torchvision's MobileNetV2 with the same weights as everybody's.
"""

from __future__ import annotations

import time
from typing import Any

from arguments import parser, report
from fastai.vision.all import (
    Callback,
    ImageDataLoaders,
    Normalize,
    Resize,
    accuracy,
    imagenet_stats,
    set_seed,
    vision_learner,
)
from networks import pretrained
from torch import nn


class Clock(Callback):
    """Notes the seconds of each epoch, and of its training part."""

    order = 60  # after fastai's recorder, which has the accuracy

    def __init__(self) -> None:
        self.epochs: list[dict[str, Any]] = []

    def before_epoch(self) -> None:
        """Begin."""
        self.begun, self.images = time.perf_counter(), 0

    def after_batch(self) -> None:
        """Count what is trained on; fastai leaves out a last batch that is not full."""
        if self.training:
            self.images += len(self.xb[0])

    def after_train(self) -> None:
        """End of the training part."""
        self.trained = time.perf_counter()

    def after_epoch(self) -> None:
        """Note the epoch."""
        self.epochs.append(
            {
                "seconds": time.perf_counter() - self.begun,
                "train_seconds": self.trained - self.begun,
                "train_images": self.images,
                "val_accuracy": float(self.learn.recorder.values[-1][-1]),
                "frozen": self.learn.opt.frozen_idx > 0,
            }
        )


def with_pool(network: nn.Module) -> nn.Module:
    """Return a network as fastai expects one: its body is what stands before the pooling."""
    return nn.Sequential(network.features, nn.AdaptiveAvgPool2d(1), network.classifier)


def main() -> None:
    """Fine-tune, and report."""
    arguments = parser(__doc__)
    arguments.add_argument("--epochs", type=int, default=4, help="after the one of the head alone")
    arguments.add_argument("--batch-size", type=int, default=64)
    options = arguments.parse_args()
    started = time.perf_counter()
    set_seed(0)
    images = ImageDataLoaders.from_folder(
        options.data,
        valid="val",
        item_tfms=Resize(224),
        batch_tfms=Normalize.from_stats(*imagenet_stats),
        bs=options.batch_size,
    )
    clock = Clock()
    learner = vision_learner(
        images,
        lambda **_: with_pool(pretrained(options.weights)),
        metrics=accuracy,
        cbs=clock,
        path=options.data,
    )
    # Bars are for people; the numbers are noted either way.
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(options.epochs)
    report(clock.epochs, time.perf_counter() - started)


if __name__ == "__main__":
    main()
