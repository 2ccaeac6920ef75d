"""Histograms of oriented gradients: what could be had before networks learned features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ORIENTATIONS, CELL, BLOCK = 9, 8, 2
CLIP, TINY = 0.2, 1e-6


def hog(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the histograms of oriented gradients of an image.

    Nine unsigned orientations, whose neighbours share a gradient in proportion; cells of 8 x 8
    pixels; overlapping blocks of 2 x 2 cells, each normalised by L2-Hys. Of the channels, the one
    with the steepest gradient counts at each pixel. Unlike the paper's, a gradient belongs to one
    cell alone.

    Args:
        pixels: Shape (H, W, channels), uint8. What is beyond the last whole cell is left out.

    Returns:
        float32 of shape ((H / 8 - 1) * (W / 8 - 1) * 36,).

    Source:
        Dalal and Triggs 2005, Histograms of Oriented Gradients for Human Detection.

    Example:
        >>> hog(np.zeros((64, 64, 3), np.uint8)).shape
        (1764,)
    """
    strength, angle = _gradient(np.sqrt(pixels / 255))
    rows, columns = strength.shape[0] // CELL, strength.shape[1] // CELL
    strength = strength[: rows * CELL, : columns * CELL]
    position = angle[: rows * CELL, : columns * CELL] / np.pi * ORIENTATIONS - 0.5
    lower = np.floor(position)
    share = position - lower
    cell = np.arange(rows * CELL)[:, None] // CELL * columns + np.arange(columns * CELL) // CELL
    histograms = np.zeros(rows * columns * ORIENTATIONS)
    for offset, weight in ((0, 1 - share), (1, share)):
        orientation = (lower.astype(int) + offset) % ORIENTATIONS
        index = (cell * ORIENTATIONS + orientation).ravel()
        histograms += np.bincount(
            index, (strength * weight).ravel(), minlength=rows * columns * ORIENTATIONS
        )
    return _blocks(histograms.reshape(rows, columns, ORIENTATIONS)).astype(np.float32)


def _gradient(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each pixel's steepest central difference and its direction in [0, pi)."""
    down, right = np.zeros_like(values), np.zeros_like(values)
    down[1:-1] = values[2:] - values[:-2]
    right[:, 1:-1] = values[:, 2:] - values[:, :-2]
    strength = np.hypot(down, right)
    steepest = strength.argmax(axis=2)[..., None]
    down, right, strength = (
        np.take_along_axis(each, steepest, axis=2)[..., 0] for each in (down, right, strength)
    )
    return strength, np.arctan2(down, right) % np.pi


def _blocks(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the normalised blocks of cells (rows, columns, orientations), one after the other."""
    windows = np.lib.stride_tricks.sliding_window_view(cells, (BLOCK, BLOCK), axis=(0, 1))
    # From (.., orientations, BLOCK, BLOCK) to the orientations of one cell after another.
    blocks = np.moveaxis(windows, 2, -1).reshape(-1, BLOCK * BLOCK * ORIENTATIONS)
    for clip in (CLIP, np.inf):
        norms = np.sqrt((blocks**2).sum(axis=1, keepdims=True) + TINY**2)
        blocks = np.minimum(blocks / norms, clip)
    return blocks.ravel()
