"""A run's progress for a person: bars with the time left, a line per epoch or strategy."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from graft.report.demo_table import print_task
from graft.report.text import duration, percent, score_text, visible
from graft.run import score_key
from graft.strategies import Phase
from graft.training.callbacks import Callback
from graft.workflows.demo import DemoCallback

if TYPE_CHECKING:
    from graft.training import Trainer


class Bars(Callback):
    """A callback that draws on a console; without a terminal it prints the lines alone.

    Args:
        console: Where to draw.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=32),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(compact=True),
            TextColumn("left  {task.fields[note]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._extraction: TaskID | None = None
        self._epochs = 0

    def __enter__(self) -> Bars:
        """Start drawing."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Clear the bar, whatever happened."""
        self._progress.stop()

    def on_message(self, message: str) -> None:
        """Print a sentence."""
        self.console.print(Text(visible(message)), soft_wrap=True)

    def on_progress(self, trainer: Trainer, images: int, total: int) -> None:
        """Draw a bar for images on their way through frozen stages, until it is full."""
        if self._extraction is None:
            words = f"features of {total:,} images"
            self._extraction = self._progress.add_task(words, total=total, note="")
        self._progress.update(self._extraction, completed=images)
        if images >= total:
            self._progress.remove_task(self._extraction)
            self._extraction = None

    def on_phase_begin(self, trainer: Trainer, phase: Phase) -> None:
        """Print what learns now."""
        how = "solved on frozen features" if phase.method == "solve" else "by gradient"
        number, count = trainer.position.phase + 1, len(trainer.plan.phases)
        self.on_message(f"phase {number} of {count}: {phase.name}, {how}")

    def on_epoch_begin(self, trainer: Trainer, epoch: int) -> None:
        """Begin or go on with the bar of all epochs."""
        epochs, batches = trainer.plan.epochs, len(trainer.train_loader)
        if self._epochs == 0:
            self._begin(f"epoch {epoch} of {epochs}", (epochs - epoch + 1) * batches)
        self._epochs = epochs
        if self._task is not None:
            self._progress.update(self._task, description=f"epoch {epoch} of {epochs}")

    def on_batch_end(self, trainer: Trainer, line: Mapping[str, Any]) -> None:
        """Move the bar."""
        if self._task is not None:
            self._progress.update(self._task, advance=1, note=f"loss {line['loss']:.3f}")

    def on_epoch_end(self, trainer: Trainer, line: Mapping[str, Any]) -> None:
        """Print an epoch's line."""
        metric = trainer.task.metric
        score = score_text(metric, line[f"val_{score_key(metric)}"])
        trained = line.get(f"train_{score_key(metric)}")
        words = [f"validation {score}", f"loss {line['val_loss']:.3f}"]
        if line["epoch"]:
            words = [
                f"epoch {line['epoch']:>3} of {self._epochs}",
                f"training loss {line['train_loss']:.3f}",
                *([] if trained is None else [f"training {score_text(metric, trained)}"]),
                *words,
                f"{line['seconds']:.1f} s",
            ]
        if line["best"] and trainer.keep != "last":
            tuned = trainer.keep == "fine-tuned" and trainer.position.solved and line["epoch"]
            words.append("best fine-tuned so far" if tuned else "best so far")
        self.on_message("  " + "  ".join(words))

    def _begin(self, description: str, total: int) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(description, total=total, note="")


class PretrainBars(Bars):
    """The same for pre-training, whose epochs are measured otherwise."""

    def on_phase_begin(self, trainer: Trainer, phase: Phase) -> None:
        """Say nothing: there is one phase."""

    def on_epoch_end(self, trainer: Trainer, line: Mapping[str, Any]) -> None:
        """Print an epoch's line."""
        known = ", ".join(f"{name} {share:.1%}" for name, share in line["known"].items())
        parts = (
            f"epoch {line['epoch']:>3} of {self._epochs}",
            f"loss {line['loss']:.3f}",
            known and f"right: {known}",
            f"spread {line['spread']:.2f}",
            f"effective rank {line['effective_rank']:.0f}",
            f"{line['seconds']:.0f} s",
        )
        self.on_message("  " + "  ".join(part for part in parts if part))


class Board(DemoCallback):
    """A callback of `graft.workflows.demo` that draws; without a terminal it prints a line each.

    Args:
        console: Where to draw.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.description:<8}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._said: set[str] = set()
        self._epochs = 0

    def __enter__(self) -> Board:
        """Draw nothing yet: a download may draw first."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Clear the lines, whatever happened."""
        self._progress.stop()

    def on_task(self, document: Mapping[str, Any]) -> None:
        """Print what is compared."""
        self._said.update(document["data"]["doubts"])
        print_task(dict(document), self.console)
        self._progress.start()

    def on_strategy_begin(self, strategy: str) -> None:
        """Begin a line."""
        self._epochs = 0
        self._task = self._progress.add_task(strategy, total=None, note="")

    def on_strategy_end(self, row: Mapping[str, Any]) -> None:
        """Finish the line with its result, for good."""
        assert self._task is not None, "it began"
        self._progress.remove_task(self._task)
        self._task = None
        words = f"{percent(row['test_accuracy'])} of {row['test_images']} test images"
        line = f"{row['strategy']:<8} {words}  {duration(row['seconds']['total'])}"
        self.console.print(Text.assemble(("✓ ", "green"), line))

    def on_message(self, message: str) -> None:
        """Print a sentence once, however many strategies say it."""
        if message not in self._said:
            self._said.add(message)
            self.console.print(Text(visible(message)), soft_wrap=True)

    def on_progress(self, trainer: Trainer, images: int, total: int) -> None:
        """Say that frozen stages look at images."""
        self._note(f"features of {total:,} images")

    def on_phase_begin(self, trainer: Trainer, phase: Phase) -> None:
        """Say what learns now."""
        self._note(phase.name)

    def on_epoch_begin(self, trainer: Trainer, epoch: int) -> None:
        """Give the bar its length, and say where it is."""
        epochs = trainer.plan.epochs
        if self._task is not None and self._epochs == 0:
            total = (epochs - epoch + 1) * len(trainer.train_loader)
            self._progress.update(self._task, total=total, completed=0)
        self._epochs = epochs

    def on_batch_end(self, trainer: Trainer, line: Mapping[str, Any]) -> None:
        """Move the bar."""
        if self._task is not None:
            self._progress.update(self._task, advance=1)

    def on_epoch_end(self, trainer: Trainer, line: Mapping[str, Any]) -> None:
        """Say how an epoch went."""
        if line["epoch"]:
            words = f"epoch {line['epoch']} of {self._epochs}"
            self._note(f"{words}, validation {percent(line['val_accuracy'])}")

    def _note(self, words: str) -> None:
        if self._task is not None:
            self._progress.update(self._task, note=words)
