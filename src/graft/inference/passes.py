"""Forward passes in eval mode, in which an image gets the same numbers in any batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from graft.data.loader import Batch, Loader
from graft.errors import DataError, GraftError
from graft.inference.engine import Engine, run_head


class Grafted(nn.Module):
    """A backbone with a head on it, which may be run one after the other.

    Args:
        backbone: Images (N, channels, H, W) to features (N, width).
        head: Features to logits (N, classes).
    """

    body: nn.Module
    head: nn.Module


@torch.no_grad()
def forward(
    module: nn.Module, batches: Iterable[Batch], precision: str = "fp32"
) -> Iterator[tuple[Batch, Tensor]]:
    """Run a network over batches in eval mode, its BatchNorm folded, and drop the padding.

    A head is run as it is, in fp32, on the features that its backbone makes.

    Args:
        module: Images (N, channels, H, W) to features; or a backbone with a head. It is left as it
            is, and must not change before the last batch.
        batches: As from a loader, padded or not.
        precision: Of the backbone: "fp32", "bf16" or "fp16".

    Yields:
        Each batch's real rows and the module's output for them, on the CPU in float32.
    """
    backbone, head = (module.body, module.head) if isinstance(module, Grafted) else (module, None)
    engine = Engine(backbone, precision=precision)
    for batch in batches:
        output = engine(batch.inputs)
        output = output.cpu() if head is None else run_head(head, output, engine.batch)
        real = batch.indices >= 0
        yield Batch(batch.inputs[real], batch.targets[real], batch.indices[real]), output[real]


@dataclass(frozen=True)
class Outputs:
    """What a module made of labelled images, in the loader's order.

    Args:
        values: Logits (N, classes) or features (N, width), float32, on the CPU.
        targets: What they should be, shape (N, ...); for classes int64 of shape (N,).
        identities: What copies of one image share, such as its content hash, for each of the N;
            None where each image is distinct.
    """

    values: Tensor
    targets: Tensor
    identities: tuple[str, ...] | None = None


def run(
    module: nn.Module,
    loader: Loader,
    on_batch: Callable[[None], None] | None = None,
    *,
    precision: str = "fp32",
) -> Outputs:
    """Run a classifier, or a backbone alone, in eval mode over the clean views of a loader.

    Args:
        module: Images (N, channels, H, W) to logits or features.
        loader: As from `Classifier.loader`: in order, padded.
        on_batch: Called after each batch, for progress.
        precision: As in `forward`.
    """
    values, targets = [], []
    for batch, output in forward(module, loader.epoch(0), precision):
        values.append(output)
        targets.append(batch.targets)
        if on_batch is not None:
            on_batch(None)
    return Outputs(torch.cat(values), torch.cat(targets))


def require_finite(
    outputs: Tensor,
    what: str,
    *,
    hint: str = "Copy the whole model again, or repeat its run.",
    error: type[GraftError] = DataError,
) -> Tensor:
    """Return outputs, or refuse those from which nothing can be concluded.

    Args:
        outputs: Shape (N, classes) or (N, width).
        what: Whose they are, such as "The model's outputs for 'ant.jpg'".
        hint: What to do about it.
        error: The class to raise: `DataError` for a model that is used, `DivergedError` for one
            that is being trained.

    Raises:
        GraftError: Of that class; a value is NaN or infinite.

    Example:
        >>> require_finite(torch.tensor([[float("nan"), 0.0]]), "The outputs for 'ant.jpg'")
        Traceback (most recent call last):
        graft.errors.DataError: The outputs for 'ant.jpg' are NaN or infinite for 1 of 1 images. \
Copy the whole model again, or repeat its run.
    """
    bad = int((~outputs.isfinite()).flatten(1).any(dim=1).sum())
    if bad:
        raise error(f"{what} are NaN or infinite for {bad} of {len(outputs)} images.", hint)
    return outputs


def probabilities(logits: Tensor) -> Tensor:
    """Softmax in double precision, rounded to six places: what is shown, stored and compared.

    Args:
        logits: Shape (N, classes).

    Example:
        >>> probabilities(torch.tensor([[0.0, 0.0]])).tolist()
        [[0.5, 0.5]]
    """
    return logits.double().softmax(dim=1).round(decimals=6)
