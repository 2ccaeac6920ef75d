"""Forward passes without learning, the same numbers whatever the company."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from graft.allocator import keep_freed_memory
from graft.data.loader import Batch, Loader

_EVAL_BATCH = {"cpu": 8}
_EVAL_BATCH_ELSEWHERE = 64


def eval_batch(device: torch.device) -> int:
    """Return the number of images per forward pass where nothing is learned.

    On a CPU a small batch stays in its cache. Batches are padded to this size, because a network's
    logits for an image depend in their last bits on the number of its companions, though not on
    which they are: so one image, a folder and a whole validation set get the same numbers.
    """
    return _EVAL_BATCH.get(device.type, _EVAL_BATCH_ELSEWHERE)


@torch.inference_mode()
def forward(module: nn.Module, batches: Iterable[Batch]) -> Iterator[tuple[Batch, Tensor]]:
    """Run a module over batches in eval mode, and drop the padding.

    Args:
        module: Images (N, 3, H, W) to anything of N rows; left in the mode in which it came.
        batches: As from a loader that pads.

    Yields:
        Each batch's real rows and the module's output for them, on the CPU in float32.
    """
    keep_freed_memory()
    device = next(module.parameters()).device
    training = {child: child.training for child in module.modules()}
    module.eval()
    try:
        for batch in batches:
            output = module(batch.images.to(device)).float().cpu()
            real = batch.indices >= 0
            yield Batch(batch.images[real], batch.labels[real], batch.indices[real]), output[real]
    finally:
        for child, mode in training.items():
            child.training = mode


@dataclass(frozen=True)
class Outputs:
    """What a module made of labelled images, in the loader's order.

    Args:
        values: Logits (N, classes) or features (N, width), float32, on the CPU.
        labels: Shape (N,), int64.
    """

    values: Tensor
    labels: Tensor


def run(
    module: nn.Module, loader: Loader, on_batch: Callable[[None], None] | None = None
) -> Outputs:
    """Run a classifier, or a trunk alone, in eval mode over the clean views of a loader.

    Args:
        module: Images (N, 3, H, W) to logits or features.
        loader: As from `Classifier.loader`: in order, padded.
        on_batch: Called after each batch, for progress.
    """
    values, labels = [], []
    for batch, output in forward(module, loader.epoch(0)):
        values.append(output)
        labels.append(batch.labels)
        if on_batch is not None:
            on_batch(None)
    return Outputs(torch.cat(values), torch.cat(labels))


def run_head(head: nn.Module, features: Tensor, batch: int) -> Tensor:
    """Run a head over features (N, width) that a trunk made, in the same padded batches.

    The logits are bit for bit those of the whole classifier on the same images.
    """
    batches = []
    for start in range(0, len(features), batch):
        rows = features[start : start + batch]
        padded = torch.cat([rows, rows.new_zeros(batch - len(rows), rows.shape[1])])
        indices = torch.arange(batch)
        indices[len(rows) :] = -1
        batches.append(Batch(padded, indices, indices))
    return torch.cat([output for _, output in forward(head, batches)])


def probabilities(logits: Tensor) -> Tensor:
    """Softmax in double precision, rounded to six places: what is shown, stored and compared.

    Args:
        logits: Shape (N, classes).

    Example:
        >>> probabilities(torch.tensor([[0.0, 0.0]])).tolist()
        [[0.5, 0.5]]
    """
    return logits.double().softmax(dim=1).round(decimals=6)
