"""The demo's progress for a person: a line per strategy, with what it is doing."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.text import Text

from graft.report.demo_table import print_task
from graft.report.words import duration, percent, visible
from graft.strategies import Phase


class Board:
    """A watcher of `graft.workflows.demo` that draws; without a terminal it prints a line each.

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

    def task(self, document: Mapping[str, Any]) -> None:
        """Print what is compared."""
        self._said.update(document["data"]["doubts"])
        print_task(dict(document), self.console)
        self._progress.start()

    def begins(self, strategy: str) -> None:
        """Begin a line."""
        self._epochs = 0
        self._task = self._progress.add_task(strategy, total=None, note="")

    def ends(self, row: Mapping[str, Any]) -> None:
        """Finish the line with its result, for good."""
        assert self._task is not None, "it began"
        self._progress.remove_task(self._task)
        self._task = None
        words = f"{percent(row['test_accuracy'])} of {row['test_images']} test images"
        line = f"{row['strategy']:<8} {words}  {duration(row['seconds']['total'])}"
        self.console.print(Text.assemble(("✓ ", "green"), line))

    def say(self, words: str) -> None:
        """Print a sentence once, however many strategies say it."""
        if words not in self._said:
            self._said.add(words)
            self.console.print(Text(visible(words)), soft_wrap=True)

    def extracting(self, images: int) -> None:
        """Say that frozen stages look at images."""
        self._note(f"features of {images:,} images")

    def extracted(self, images: int) -> None:
        """Ignore: it is quick."""

    def phase(self, phase: Phase, index: int, count: int) -> None:
        """Say what learns now."""
        self._note(phase.name)

    def epoch(self, epoch: int, epochs: int, batches: int) -> None:
        """Give the bar its length, and say where it is."""
        if self._task is not None and self._epochs == 0:
            self._progress.update(self._task, total=(epochs - epoch + 1) * batches, completed=0)
        self._epochs = epochs

    def batch(self, loss: float | None) -> None:
        """Move the bar."""
        if self._task is not None:
            self._progress.update(self._task, advance=1)

    def result(self, line: Mapping[str, Any]) -> None:
        """Say how an epoch went."""
        if line["epoch"]:
            words = f"epoch {line['epoch']} of {self._epochs}"
            self._note(f"{words}, validation {percent(line['val_accuracy'])}")

    def _note(self, words: str) -> None:
        if self._task is not None:
            self._progress.update(self._task, note=words)
