"""Numbers about predictions: accuracy with its interval, loss, and what happens to each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional

from graft.evaluation.interval import wilson_interval


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Return the share of rows whose largest logit is the label's.

    Args:
        logits: Shape (N, classes).
        labels: Shape (N,), indices.
    """
    return float((logits.argmax(dim=1) == labels).double().mean())


def mean_loss(logits: Tensor, labels: Tensor) -> float:
    """Return the cross-entropy in nats, averaged over images (not batches), in double precision.

    Args:
        logits: Shape (N, classes).
        labels: Shape (N,), indices.
    """
    return float(functional.cross_entropy(logits.double(), labels))


def metrics(logits: Tensor, labels: Tensor, classes: Sequence[str]) -> dict[str, Any]:
    """Return everything `graft evaluate` reports.

    Args:
        logits: Shape (N, classes), N at least 1.
        labels: Shape (N,), indices into `classes`.
        classes: Class names. A class without an image has precision, recall and F1 of None, and
            does not enter `macro_f1`.

    Returns:
        `accuracy`, `interval` (95 %, Wilson), `images`, `loss` (nats per image), `macro_f1`,
        `per_class` (precision, recall, f1, support), `confusion` (rows true, columns predicted),
        `classes`, `shifts`.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
        >>> found = metrics(logits, torch.tensor([0, 1, 1]), ["ants", "bees"])
        >>> round(found["accuracy"], 3), found["confusion"]
        (0.667, [[1, 0], [1, 1]])
    """
    truth, predicted = labels.numpy(), logits.argmax(dim=1).numpy()
    count = len(classes)
    confusion = np.bincount(truth * count + predicted, minlength=count**2).reshape(count, count)
    right, support, said = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    recall = right / np.maximum(support, 1)
    precision = right / np.maximum(said, 1)
    f1 = 2 * right / np.maximum(support + said, 1)
    present = support > 0
    correct = int(right.sum())
    return {
        "accuracy": correct / len(truth),
        "interval": list(wilson_interval(correct, len(truth))),
        "images": len(truth),
        "loss": mean_loss(logits, labels),
        "macro_f1": float(f1[present].mean()),
        "per_class": {
            name: {
                "precision": float(precision[i]) if present[i] else None,
                "recall": float(recall[i]) if present[i] else None,
                "f1": float(f1[i]) if present[i] else None,
                "support": int(support[i]),
            }
            for i, name in enumerate(classes)
        },
        "confusion": confusion.tolist(),
        "classes": list(classes),
        "shifts": {},
    }
