"""The rows, in the order of the table. To add one, write its module and name it here."""

from __future__ import annotations

from benchmarks.row import Row
from benchmarks.rows import (
    again,
    busy,
    extraction,
    five,
    full,
    graft_small,
    ladder,
    memory,
    no_gain,
    partial,
    peers,
    predictor,
    start_up,
    tutorial,
    views,
)

ROWS: tuple[Row, ...] = (
    tutorial.ROW,
    peers.ROW,
    extraction.ROW,
    partial.ROW,
    full.ROW,
    again.ROW,
    five.ROW,
    memory.ROW,
    start_up.ROW,
    predictor.ROW,
    busy.ROW,
    ladder.ROW,
    views.ROW,
    no_gain.ROW,
    graft_small.ROW,
)
