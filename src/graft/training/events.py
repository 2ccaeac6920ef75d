"""What a run tells while it works; whoever shows progress listens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from graft.strategies import Phase


class Listener(Protocol):
    """Hears of a run's progress. The command line draws bars; the default is silent."""

    def say(self, words: str) -> None:
        """A sentence for the person who waits."""

    def extracting(self, images: int) -> None:
        """So many images are about to go through the frozen stages."""

    def extracted(self, images: int) -> None:
        """So many more of them have."""

    def phase(self, phase: Phase, index: int, count: int) -> None:
        """The phase `index` of `count` begins."""

    def epoch(self, epoch: int, epochs: int, batches: int) -> None:
        """The epoch `epoch` of at most `epochs` begins."""

    def batch(self, loss: float | None) -> None:
        """One batch is done; its loss, where there is one."""

    def result(self, line: Mapping[str, Any]) -> None:
        """An epoch is done; its line of `metrics.jsonl`."""


class Silent:
    """A listener that says nothing."""

    def say(self, words: str) -> None:
        """Ignore."""

    def extracting(self, images: int) -> None:
        """Ignore."""

    def extracted(self, images: int) -> None:
        """Ignore."""

    def phase(self, phase: Phase, index: int, count: int) -> None:
        """Ignore."""

    def epoch(self, epoch: int, epochs: int, batches: int) -> None:
        """Ignore."""

    def batch(self, loss: float | None) -> None:
        """Ignore."""

    def result(self, line: Mapping[str, Any]) -> None:
        """Ignore."""
