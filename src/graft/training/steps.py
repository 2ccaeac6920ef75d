"""Optimizer steps: one step per batch, in as many parts as memory and precision require."""

from __future__ import annotations

from collections.abc import Callable

import torch

from graft.data.loader import Batch
from graft.errors import ResourceError
from graft.model import Model
from graft.strategies.optimization import OF_THE_OPTIMIZER, OptimizerOptions
from graft.tasks import Network, Objective, Progress
from graft.training.accelerator import Accelerator
from graft.training.optimizers import build_optimizer


class NotFiniteError(Exception):
    """A loss or gradient is NaN or infinite; seen before the optimizer steps.

    Args:
        what: Such as "the loss became nan".
        step: Optimizer step of the run.
        epoch: Epoch of the run, from 1.
    """

    def __init__(self, what: str, step: int, epoch: int) -> None:
        super().__init__(f"{what} at step {step} of epoch {epoch}")


class Steps:
    """Takes optimizer steps.

    Args:
        model: Trained in place; on the accelerator's device.
        accelerator: Device and precision.
        objective: What is minimised. One whose images belong together, as in a loss between them,
            has `whole_batch = True`, and its batches are never cut to save memory.
        options: Optimizer, clipping, precision.
        on_message: Called when memory runs out.
        parts: Into which a batch is cut to save memory.

    Attributes:
        optimizer: Holds every parameter.
    """

    def __init__(
        self,
        model: Model,
        accelerator: Accelerator,
        objective: Objective,
        options: OptimizerOptions,
        on_message: Callable[[str], None],
        *,
        parts: int = 1,
    ) -> None:
        self.model, self.accelerator, self.parts = model, accelerator, parts
        self.objective, self.options, self.on_message = objective, options, on_message
        self.whole_batch: bool = getattr(objective, "whole_batch", False)
        self.optimizer = build_optimizer(model, options)

    def use(self, options: OptimizerOptions) -> None:
        """Take the steps that follow with these options; another optimizer begins afresh."""
        if any(getattr(options, name) != getattr(self.options, name) for name in OF_THE_OPTIMIZER):
            self.optimizer = build_optimizer(self.model, options)
        self.options = options

    def take(
        self, batch: Batch, progress: Progress, network: Network, parts: int | None = None
    ) -> dict[str, float]:
        """Take one step on a batch, in parts whose gradients add up to the whole's.

        Where memory runs out the batch is cut into twice as many parts and taken again.

        Args:
            batch: What to learn from.
            progress: Where in the run this is.
            network: The model, or what of it takes the batch's inputs.
            parts: At first; None means as many as usual.

        Returns:
            The batch's losses by name.

        Raises:
            NotFiniteError: A loss or gradient is not finite; nothing was changed.
            ResourceError: One image alone, or a batch that cannot be cut, does not fit into the
                memory.
        """
        parts = 1 if self.whole_batch else min(parts or self.parts, len(batch))
        self.optimizer.zero_grad(set_to_none=True)
        totals: dict[str, float] = {}
        try:
            for part in batch.split(parts) if parts > 1 else (batch,):
                share = len(part) / len(batch)
                with self.accelerator.autocast():
                    losses = self.objective(network, part.to(self.accelerator.device), progress)
                    loss = torch.stack(list(losses.values())).sum() * share
                for name, value in losses.items():
                    totals[name] = totals.get(name, 0.0) + value.item() * share
                if not torch.isfinite(loss):
                    what = f"the loss became {loss.item()}"
                    raise NotFiniteError(what, progress.step, progress.epoch)
                self.accelerator.backward(loss)
        except torch.OutOfMemoryError as error:
            if self.whole_batch:
                raise ResourceError(
                    f"A batch of {len(batch)} images does not fit into the memory.",
                    "Use a smaller --batch-size or --image-size, or a smaller backbone.",
                ) from error
            if parts >= len(batch):
                raise ResourceError(
                    "One image alone does not fit into the memory.",
                    "Use a smaller --image-size, a smaller backbone, or fewer trained stages.",
                ) from error
            self.on_message(f"Out of memory: the batch is taken in {parts * 2} parts.")
            return self.take(batch, progress, network, parts * 2)
        norm = self.accelerator.clip(
            self.optimizer,
            [p for p in self.model.parameters() if p.grad is not None],
            self.options.clip or float("inf"),
        )
        # fp16's own loss scaling steps over overflows; elsewhere they are the end of the weights.
        if self.options.precision != "fp16" and not torch.isfinite(norm):
            what = f"the gradient became {norm.item()}"
            raise NotFiniteError(what, progress.step, progress.epoch)
        self.accelerator.step(self.optimizer)
        return totals
