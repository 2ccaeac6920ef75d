"""The loop of PyTorch's transfer-learning tutorial, its network as a fixed feature extractor.

Written from the tutorial's description: every parameter but those of a new classifier is frozen,
batches of 4 by 4 worker processes, SGD 0.001 with momentum 0.9, a tenth of it every 7 epochs, the
whole network in train mode in each epoch (so its BatchNorm statistics move, as the tutorial's do),
and the best epoch on the validation images is kept. `--tuned` is the same loop as somebody who
knows PyTorch would run it: batches of 32, channels-last, 2 workers that live on.
"""

from __future__ import annotations

import copy
import time
from argparse import Namespace

import torch
from arguments import parser, report
from networks import pretrained
from torch import nn
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

NORMALIZE = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
VIEWS = {
    "train": [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip()],
    "val": [transforms.Resize(256), transforms.CenterCrop(224)],
}


def loaders(options: Namespace) -> dict[str, DataLoader]:
    """Return the tutorial's loaders; both are shuffled there."""
    settings = {"batch_size": 4, "num_workers": 4}
    if options.tuned:
        settings = {"batch_size": 32, "num_workers": 2, "persistent_workers": True}
    return {
        split: DataLoader(
            datasets.ImageFolder(
                options.data / split,
                transforms.Compose([*views, transforms.ToTensor(), NORMALIZE]),
            ),
            shuffle=True,
            **settings,
        )
        for split, views in VIEWS.items()
    }


def main() -> None:
    """Train, and report."""
    arguments = parser(__doc__)
    arguments.add_argument("--epochs", type=int, default=25)
    arguments.add_argument("--tuned", action="store_true")
    options = arguments.parse_args()
    started = time.perf_counter()
    torch.manual_seed(0)
    data = loaders(options)

    network = pretrained(options.weights)
    for parameter in network.parameters():
        parameter.requires_grad = False
    network.classifier[1] = nn.Linear(network.last_channel, len(data["train"].dataset.classes))
    layout = torch.channels_last if options.tuned else torch.contiguous_format
    network = network.to(memory_format=layout)

    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(network.classifier[1].parameters(), lr=0.001, momentum=0.9)
    scheduler = StepLR(optimizer, step_size=7, gamma=0.1)

    epochs, best, kept = [], 0.0, network.state_dict()
    for _ in range(options.epochs):
        begun = time.perf_counter()
        network.train()
        for images, labels in data["train"]:
            optimizer.zero_grad()
            criterion(network(images.to(memory_format=layout)), labels).backward()
            optimizer.step()
        scheduler.step()
        trained = time.perf_counter()

        network.eval()
        right = 0
        with torch.no_grad():
            for images, labels in data["val"]:
                predicted = network(images.to(memory_format=layout)).argmax(dim=1)
                right += int((predicted == labels).sum())
        accuracy = right / len(data["val"].dataset)
        if accuracy > best:
            best, kept = accuracy, copy.deepcopy(network.state_dict())
        epochs.append(
            {
                "seconds": time.perf_counter() - begun,
                "train_seconds": trained - begun,
                "train_images": len(data["train"].dataset),
                "val_accuracy": accuracy,
            }
        )
    network.load_state_dict(kept)
    report(epochs, time.perf_counter() - started)


if __name__ == "__main__":
    main()
