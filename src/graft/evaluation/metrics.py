"""Numbers about predictions: accuracy with its interval, loss, and what happens to each class."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from graft.evaluation.intervals import Tally
from graft.inference import require_finite

DENSE_CLASSES = 100
"""Of more classes the confusion matrix is mostly zeros, and gigabytes of them."""

_PART = 1024


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
    # In parts, since a million logits in double precision and their exponentials take memory.
    parts = zip(torch.split(logits, _PART), torch.split(labels, _PART), strict=True)
    losses = [functional.cross_entropy(x.double(), y, reduction="none") for x, y in parts]
    return float(torch.cat(losses).mean())


def metrics(
    logits: Tensor,
    labels: Tensor,
    classes: Sequence[str],
    identities: Sequence[Hashable] | None = None,
) -> dict[str, Any]:
    """Return everything `graft evaluate` reports.

    Args:
        logits: Shape (N, classes), N at least 1.
        labels: Shape (N,), indices into `classes`.
        classes: Class names. A class without an image has precision, recall and F1 of None, and
            does not enter `macro_f1`.
        identities: What copies of one image share, as `Sample.identity`; None where each image is
            distinct. Intervals count distinct images, everything else counts images.

    Returns:
        `accuracy`, `interval` (95 %, Wilson, of the accuracy on distinct images), `images`,
        `distinct_images`, `distinct_accuracy`, `loss` (nats per image), `macro_f1`, `per_class`
        (precision, recall, f1, support, and the recall's interval), `confusion` (rows true, columns
        predicted; None of more than 100 classes), `confusion_pairs` (`[true, predicted, images]`,
        indices, of every pair that occurs, where `confusion` is None; else None), `classes`,
        `shifts` (empty).

    Raises:
        DataError: A logit is not finite.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
        >>> found = metrics(logits, torch.tensor([0, 1, 1]), ["ants", "bees"])
        >>> round(found["accuracy"], 3), found["confusion"]
        (0.667, [[1, 0], [1, 1]])
    """
    require_finite(logits, "The model's outputs")
    truth, predicted = labels.numpy(), logits.argmax(dim=1).numpy()
    count, hit = len(classes), truth == predicted
    right, support, said = (
        np.bincount(which, minlength=count) for which in (truth[hit], truth, predicted)
    )
    recall = right / np.maximum(support, 1)
    precision = right / np.maximum(said, 1)
    f1 = 2 * right / np.maximum(support + said, 1)
    present = support > 0
    copies = np.arange(len(truth)) if identities is None else _numbered(identities)
    members = np.split(np.argsort(truth, kind="stable"), np.cumsum(support)[:-1])
    pairs, times = np.unique(truth * count + predicted, return_counts=True)
    dense = count <= DENSE_CLASSES
    return {
        **Tally.of(hit.tolist(), copies.tolist()).document,
        "loss": mean_loss(logits, labels),
        "macro_f1": float(f1[present].mean()),
        "per_class": {
            name: {
                "precision": float(precision[i]) if present[i] else None,
                "recall": float(recall[i]) if present[i] else None,
                "f1": float(f1[i]) if present[i] else None,
                "support": int(support[i]),
                "interval": list(Tally.of(hit[of].tolist(), copies[of].tolist()).interval),
            }
            for i, (name, of) in enumerate(zip(classes, members, strict=True))
        },
        "confusion": _matrix(pairs, times, count).tolist() if dense else None,
        "confusion_pairs": None
        if dense
        else np.stack([pairs // count, pairs % count, times], axis=1).tolist(),
        "classes": list(classes),
        "shifts": [],
    }


def _numbered(identities: Sequence[Hashable]) -> NDArray[np.intp]:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(identity, len(numbers)) for identity in identities])


def _matrix(pairs: NDArray[np.intp], times: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    matrix = np.zeros(count**2, np.intp)
    matrix[pairs] = times
    return matrix.reshape(count, count)
