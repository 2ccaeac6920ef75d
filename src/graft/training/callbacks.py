"""Callbacks: objects that are called during a training run and may act on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graft.run import append_line, keep_lines, read_lines
from graft.strategies import Phase
from graft.training.checkpoints import Checkpoints

if TYPE_CHECKING:
    from graft.training.trainer import Trainer


class Callback:
    """Base class of callbacks; every method does nothing unless overridden.

    Subclass it, override what is of interest, and give instances to `Trainer`, `fit` or `pretrain`.
    Callbacks are called in the order given, after those that write metrics and checkpoints. What
    one raises ends the run in order, like any other error. To end the run after the epoch under
    way, set `trainer.stop = True`; to end only the phase, `trainer.stop_phase = True`.

    Example:
        >>> class StopAt(Callback):
        ...     def __init__(self, accuracy):
        ...         self.accuracy = accuracy
        ...
        ...     def on_epoch_end(self, trainer, line):
        ...         trainer.stop = line["val_accuracy"] >= self.accuracy
    """

    def on_train_begin(self, trainer: Trainer) -> None:
        """The run begins, or goes on from a checkpoint."""

    def on_train_end(self, trainer: Trainer) -> None:
        """The run is over and its weights are in the model; not called where an error ended it."""

    def on_phase_begin(self, trainer: Trainer, phase: Phase) -> None:
        """A phase begins, or goes on; exactly its stages are ready to learn."""

    def on_phase_end(self, trainer: Trainer, phase: Phase) -> None:
        """A phase is over, and what it froze is proved unchanged."""

    def on_epoch_begin(self, trainer: Trainer, epoch: int) -> None:
        """The epoch, from 1 over the whole run, begins."""

    def on_batch_end(self, trainer: Trainer, line: Mapping[str, Any]) -> None:
        """An optimizer step is done.

        Args:
            trainer: The run.
            line: Its line of `steps.jsonl`: "step", "epoch", "loss", "losses" by name, and "lr" by
                stage.
        """

    def on_validation_end(self, trainer: Trainer, line: dict[str, Any]) -> None:
        """An epoch, or a solved head, has been validated, and nothing is written yet.

        Args:
            trainer: The run.
            line: Its line of `metrics.jsonl`, to which measurements of one's own may be added.
        """

    def on_epoch_end(self, trainer: Trainer, line: Mapping[str, Any]) -> None:
        """An epoch, or a solved head ("epoch" 0), is over.

        Args:
            trainer: The run.
            line: Its line of `metrics.jsonl`, complete.
        """

    def on_progress(self, trainer: Trainer, images: int, total: int) -> None:
        """Frozen stages have run over so many images of a total; first over 0 of them."""

    def on_message(self, message: str) -> None:
        """There is a sentence for the person who waits, perhaps before any trainer is made."""


def notify(callbacks: Iterable[Callback], event: str, *arguments: Any) -> None:
    """Call a method of every callback.

    Args:
        callbacks: In the order in which they are called.
        event: The method's name, such as "on_epoch_end".
        arguments: What it takes.
    """
    for callback in callbacks:
        getattr(callback, event)(*arguments)


class MetricsFiles(Callback):
    """Writes `metrics.jsonl`, a line per epoch, and `steps.jsonl`, a line per optimizer step.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: Path) -> None:
        self.metrics, self.steps = folder / "metrics.jsonl", folder / "steps.jsonl"
        self._last = 0

    def on_train_begin(self, trainer: Trainer) -> None:
        """Read the lines of the epochs before the checkpoint that the run goes on from."""
        if trainer.resumed:
            trainer.history[:] = read_lines(self.metrics)

    def on_epoch_begin(self, trainer: Trainer, epoch: int) -> None:
        """Drop the steps of an epoch that was rolled back and is repeated."""
        if self._last > trainer.position.step:
            keep_lines(self.steps, trainer.position.step)

    def on_batch_end(self, trainer: Trainer, line: Mapping[str, Any]) -> None:
        """Write the step's line."""
        append_line(self.steps, line)
        self._last = line["step"]

    def on_epoch_end(self, trainer: Trainer, line: Mapping[str, Any]) -> None:
        """Write the epoch's line."""
        append_line(self.metrics, line)


class Checkpointing(Callback):
    """Saves a checkpoint before the first optimizer step and after every epoch.

    Args:
        checkpoints: Where they are kept.
    """

    def __init__(self, checkpoints: Checkpoints) -> None:
        self.checkpoints = checkpoints

    def on_phase_begin(self, trainer: Trainer, phase: Phase) -> None:
        """Save where a run begins by gradient, so that a diverged first epoch can be undone."""
        if phase.method == "gradient" and not self.checkpoints.complete():
            self._save(trainer)

    def on_epoch_end(self, trainer: Trainer, line: Mapping[str, Any]) -> None:
        """Save the epoch."""
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        state = trainer.model.state_dict()
        self.checkpoints.save(trainer.position, state, trainer.steps.optimizer)


class EarlyStopping(Callback):
    """Ends a phase that has not gained for some epochs.

    Args:
        patience: Epochs without a better validation result; None leaves it to the plan's phases,
            whose own patience counts besides.
    """

    def __init__(self, patience: int | None = None) -> None:
        self.patience = patience

    def on_phase_begin(self, trainer: Trainer, phase: Phase) -> None:
        """End a phase that had lost its patience before the run was interrupted."""
        self._look(trainer, phase)

    def on_epoch_end(self, trainer: Trainer, line: Mapping[str, Any]) -> None:
        """End the phase where its patience is at an end."""
        self._look(trainer, trainer.plan.phases[trainer.position.phase])

    def _look(self, trainer: Trainer, phase: Phase) -> None:
        limits = [limit for limit in (self.patience, phase.patience) if limit is not None]
        if limits and trainer.position.stale >= min(limits):
            trainer.stop_phase = True
