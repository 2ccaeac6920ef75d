"""The strength of a linear head, found by cross-validation along its regularisation path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from graft.heads.solver.design import Design
from graft.heads.solver.lbfgs import Array, Which, minimise
from graft.heads.solver.softmax import CURVATURE, HELD_LOSS, SoftmaxLoss

LEAST_TRIED = 20
"""Strengths tried before the path may end, since the losses of few images are noisy."""

TURNED = 1.05
"""The path ends where the loss is this many times the least one: it has turned for good."""

ROUGH, EXACT = 1e-6, 1e-12
"""Promised decrease per unit of weight at which a search's fits, and the final fit, are done."""


@dataclass(frozen=True)
class Path:
    """What cross-validation found along a path.

    Args:
        strength: With the least held-out loss; the stronger regularisation of equals.
        losses: Mean held-out loss of each strength tried, in nats.
        points: The fits of each fold at the chosen strength.
    """

    strength: float
    losses: dict[float, float]
    points: Array


def search(loss: SoftmaxLoss, design: Design, strengths: Sequence[float]) -> Path:
    """Fit all folds at every strength, and choose the one with the least held-out loss.

    The folds are one batch. Strengths go from strong regularisation to weak; each starts where the
    last two fits point, so that it needs a few steps. A path ends early once `LEAST_TRIED`
    strengths were tried and the held-out loss has turned for good.

    Args:
        loss: A problem for each fold.
        design: Of the loss's features.
        strengths: Inverse L2 strengths C, ascending.
    """
    start = np.zeros((len(loss.train), loss.classes * (loss.width + 1)), loss.kind)
    weight = loss.held.sum(dtype=np.float64)
    trail: list[tuple[float, Array]] = []
    losses: dict[float, float] = {}
    best, best_points = np.inf, start
    for strength in strengths:
        here = _ahead(trail, strength, start)
        points, notes = fit(replace(loss, strength=strength), design, here, ROUGH)
        losses[strength] = found = float(notes[:, HELD_LOSS].sum() / weight)
        if found < best:
            best, best_points = found, points
        if found > TURNED * best and len(losses) >= LEAST_TRIED:
            break
        trail = [*trail[-1:], (float(np.log(strength)), points)]
    return Path(min(losses, key=losses.__getitem__), losses, best_points)


def fit(loss: SoftmaxLoss, design: Design, start: Array, tolerance: float) -> tuple[Array, Array]:
    """Minimise all problems of a loss from a start; return the points and their notes."""
    weights = loss.train.sum(axis=1, dtype=np.float64)

    def precondition(vectors: Array, notes: Array, which: Which) -> Array:
        weight, bias = loss.split(vectors)
        curvature = np.maximum(notes[:, CURVATURE], 1e-6 * weights[which])
        scale = loss.scale[which][:, None]
        flat = design.spectrum.solve(weight / scale, curvature, loss.ridge) / scale
        return loss.join(flat, bias / curvature[:, None])

    return minimise(loss, start, precondition, tolerance=tolerance * weights)


def _ahead(trail: list[tuple[float, Array]], strength: float, start: Array) -> Array:
    """Continue the path's last two points, in the logarithm of the strength, to a strength."""
    if len(trail) < 2:
        return trail[-1][1] if trail else start
    (before, older), (last, newer) = trail
    reach = min((np.log(strength) - last) / (last - before), 2.0)
    ahead: Array = newer + newer.dtype.type(reach) * (newer - older)
    return ahead
