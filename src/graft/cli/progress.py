"""A run's progress for a person: a bar with the time left, and a line per epoch."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from graft.report.words import visible
from graft.strategies import Phase


class Bars:
    """A listener that draws on a console; without a terminal it prints the lines alone.

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

    def say(self, words: str) -> None:
        """Print a sentence."""
        self.console.print(Text(visible(words)), soft_wrap=True)

    def extracting(self, images: int) -> None:
        """Begin a bar for images on their way through frozen stages."""
        if self._extraction is not None:
            self._progress.remove_task(self._extraction)
        words = f"features of {images:,} images"
        self._extraction = self._progress.add_task(words, total=images, note="")

    def extracted(self, images: int) -> None:
        """Move that bar, and take it away when it is full."""
        if self._extraction is None:
            return
        self._progress.update(self._extraction, advance=images)
        if self._progress.tasks[self._progress.task_ids.index(self._extraction)].finished:
            self._progress.remove_task(self._extraction)
            self._extraction = None

    def phase(self, phase: Phase, index: int, count: int) -> None:
        """Print what learns now."""
        how = "solved on frozen features" if phase.method == "solve" else "by gradient"
        self.say(f"phase {index + 1} of {count}: {phase.name}, {how}")

    def epoch(self, epoch: int, epochs: int, batches: int) -> None:
        """Begin or go on with the bar of all epochs."""
        if self._epochs == 0:
            self._begin(f"epoch {epoch} of {epochs}", (epochs - epoch + 1) * batches)
        self._epochs = epochs
        if self._task is not None:
            self._progress.update(self._task, description=f"epoch {epoch} of {epochs}")

    def batch(self, loss: float | None) -> None:
        """Move the bar."""
        if self._task is not None:
            note = "" if loss is None else f"loss {loss:.3f}"
            self._progress.update(self._task, advance=1, note=note)

    def result(self, line: Mapping[str, Any]) -> None:
        """Print an epoch's line."""
        words = [f"validation {line['val_accuracy']:.1%}", f"loss {line['val_loss']:.3f}"]
        if line["epoch"]:
            words = [
                f"epoch {line['epoch']:>3} of {self._epochs}",
                f"training loss {line['train_loss']:.3f}",
                *words,
                f"{line['seconds']:.1f} s",
            ]
        if line["best"]:
            words.append("best so far")
        self.say("  " + "  ".join(words))

    def _begin(self, description: str, total: int) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(description, total=total, note="")
