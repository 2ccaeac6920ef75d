"""Extraction inside `graft.fit`: from the begin of the probe's phase to its last row of features.

This is longer than what the run calls `extract`: planning, folding the network, and the proof that
rows can be trusted are within it. `whole` is longer still, up to the phase's result: what remains
to be done where every row is found.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from setting import BACKBONE, parser, report

import graft
from graft.strategies import Phase
from graft.training import Callback, Trainer


class Clock(Callback):
    """Notes when the phase begins and when the last row is there."""

    def on_phase_begin(self, trainer: Trainer, phase: Phase) -> None:
        """Begin."""
        self.begun = self.done = time.perf_counter()

    def on_progress(self, trainer: Trainer, images: int, total: int) -> None:
        """Note some rows."""
        self.done = time.perf_counter()

    def on_epoch_end(self, trainer: Trainer, line: Mapping[str, Any]) -> None:
        """Note the end of the phase."""
        self.ended = time.perf_counter()


def main() -> None:
    """Fit a probe, and report."""
    options = parser(__doc__).parse_args()
    clock = Clock()
    fitted = graft.fit(
        options.data,
        backbone=BACKBONE,
        weights=str(options.weights),
        out=options.scratch,
        callbacks=[clock],
    )
    report(
        extraction=clock.done - clock.begun,
        whole=clock.ended - clock.begun,
        seconds=fitted.result["seconds"],
    )


if __name__ == "__main__":
    main()
