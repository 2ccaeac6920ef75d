"""timm's own training parts in the small: its network, loader, augmentation, optimizer, schedule.

Full fine-tuning with AdamW 5e-4, weight decay 0.05 and a cosine, on timm's default augmentation
(random resized crop, flip, colour jitter 0.4), in batches of 32; timm
leaves out a last batch that is not full.
"""

from __future__ import annotations

import time
from argparse import Namespace

import timm
import torch
from arguments import parser, report
from networks import state_in_order
from timm.data import create_dataset, create_loader, resolve_data_config
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from torch import nn


def pretrained(options: Namespace, classes: int) -> nn.Module:
    """Return timm's MobileNetV2 with torchvision's weights, which it holds in the same order."""
    network = timm.create_model("mobilenetv2_100", pretrained=False)
    own, given = network.state_dict(), state_in_order(options.weights)
    for (name, tensor), (source, value) in zip(own.items(), given, strict=True):
        if tensor.shape != value.shape:
            raise ValueError(f"{source} {tuple(value.shape)} is not {name} {tuple(tensor.shape)}.")
    network.load_state_dict({name: value for name, (_, value) in zip(own, given, strict=True)})
    network.reset_classifier(classes)
    return network


def main() -> None:
    """Fine-tune, and report."""
    arguments = parser(__doc__)
    arguments.add_argument("--epochs", type=int, default=4)
    arguments.add_argument("--batch-size", type=int, default=32)
    options = arguments.parse_args()
    started = time.perf_counter()
    torch.manual_seed(0)
    images = {
        split: create_dataset("", root=str(options.data), split=split) for split in ("train", "val")
    }
    network = pretrained(options, len(images["train"].reader.class_to_idx))
    config = resolve_data_config({}, model=network)
    data = {
        split: create_loader(
            images[split],
            input_size=config["input_size"],
            batch_size=options.batch_size,
            is_training=split == "train",
            interpolation=config["interpolation"],
            mean=config["mean"],
            std=config["std"],
            crop_pct=config["crop_pct"],
            num_workers=2,
            use_prefetcher=False,
            device=torch.device("cpu"),
        )
        for split in images
    }
    optimizer = create_optimizer_v2(network, opt="adamw", lr=5e-4, weight_decay=0.05)
    scheduler, _ = create_scheduler_v2(optimizer, sched="cosine", num_epochs=options.epochs)
    criterion = nn.CrossEntropyLoss()

    epochs = []
    for epoch in range(options.epochs):
        begun, seen, right = time.perf_counter(), 0, 0
        network.train()
        for images, labels in data["train"]:
            optimizer.zero_grad()
            criterion(network(images), labels).backward()
            optimizer.step()
            seen += len(labels)
        scheduler.step(epoch + 1)
        trained = time.perf_counter()
        network.eval()
        with torch.no_grad():
            for images, labels in data["val"]:
                right += int((network(images).argmax(dim=1) == labels).sum())
        epochs.append(
            {
                "seconds": time.perf_counter() - begun,
                "train_seconds": trained - begun,
                "train_images": seen,
                "val_accuracy": right / len(images["val"]),
            }
        )
    report(epochs, time.perf_counter() - started)


if __name__ == "__main__":
    main()
