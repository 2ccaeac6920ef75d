"""The probe: logistic regression whose C is chosen by cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from graft.probe.design import Design, WeightedSamples
from graft.probe.lbfgs import Array, Which, minimise
from graft.probe.softmax import CURVATURE, HELD_LOSS, SoftmaxLoss, find_temperature

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
        C: With the least held-out loss; the stronger regularisation of equals.
        losses: Mean held-out loss of each C tried, in nats.
        points: The fits of each fold at the chosen C.
    """

    C: float
    losses: dict[float, float]
    points: Array


def search(loss: SoftmaxLoss, design: Design, Cs: Sequence[float]) -> Path:
    """Fit all folds at every C, and choose the one with the least held-out loss.

    The folds are one batch. Strengths go from strong regularisation to weak; each starts where the
    last two fits point, so that it needs a few steps. A path ends early once `LEAST_TRIED`
    values of C were tried and the held-out loss has clearly begun to rise.

    Args:
        loss: A problem for each fold.
        design: Of the loss's features.
        Cs: Inverse L2 Cs C, ascending.
    """
    start = np.zeros((len(loss.train), loss.classes * (loss.width + 1)), loss.kind)
    weight = loss.held.sum(dtype=np.float64)
    trail: list[tuple[float, Array]] = []
    losses: dict[float, float] = {}
    best, best_points = np.inf, start
    for C in Cs:
        here = _ahead(trail, C, start)
        points, notes = fit(replace(loss, C=C), design, here, ROUGH)
        losses[C] = found = float(notes[:, HELD_LOSS].sum() / weight)
        if found < best:
            best, best_points = found, points
        if found > TURNED * best and len(losses) >= LEAST_TRIED:
            break
        trail = [*trail[-1:], (float(np.log(C)), points)]
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


def _ahead(trail: list[tuple[float, Array]], C: float, start: Array) -> Array:
    """Continue the path's last two points, in the logarithm of C, to another C."""
    if len(trail) < 2:
        return trail[-1][1] if trail else start
    (before, older), (last, newer) = trail
    reach = min((np.log(C) - last) / (last - before), 2.0)
    ahead: Array = newer + newer.dtype.type(reach) * (newer - older)
    return ahead


CS = tuple(float(f"{10 ** (fifth / 5 - 6):.3g}") for fifth in range(36))
"""Values of C among which cross-validation chooses: five per decade, 1e-6 to 10."""

SEARCH_IMAGES = 20_000
"""Of more images than that, about so many are drawn to choose C."""

_DOUBLE_ELEMENTS = 1 << 23


@dataclass(frozen=True)
class Probe:
    """A linear classifier of features, and how it was found.

    Args:
        weight: Shape (K, D), for features as they are: standardisation is folded in.
        bias: Shape (K,), of mean 0.
        C: The inverse L2 penalty C that was chosen.
        scores: Cross-validated loss of each C tried, in nats per image.
        at_edge: Whether the chosen C is the first or the last of those offered.
        images: Number of images on which C was chosen, 0 where there was nothing to choose by.
        folds: In how many folds; 0 likewise.
        temperature: By which the logits were divided.
        constant: Whether no feature varies. Then the classes' frequencies are all that is learned.
        held_out: Logits (N, K) of the rows by the folds' fits at the chosen C, each by the one that
            did not see it; NaN for rows that are in no fold or not clean. None where C was chosen
            on a draw, or not by folds.
    """

    weight: Array
    bias: Array
    C: float
    scores: dict[float, float]
    at_edge: bool
    images: int
    folds: int
    temperature: float
    constant: bool = False
    held_out: Array | None = None


def fit_probe(
    samples: WeightedSamples,
    *,
    seed: int = 0,
    Cs: Sequence[float] = CS,
    folds: int = 5,
    calibrate: bool = True,
) -> Probe:
    """Fit a linear probe as `graft.probe.solve.solve` describes.

    Args:
        samples: What to learn from.
        seed: Of the folds, and of the images drawn where there are many.
        Cs: Values of C to try, the inverse of the L2 penalty, as in scikit-learn.
        folds: Most folds.
        calibrate: Divide the logits by the temperature fitted to the held-out rows.
    """
    grid = sorted(set(Cs))
    many = samples.images > SEARCH_IMAGES and len(grid) > 1
    drawn = samples.draw(SEARCH_IMAGES, seed) if many else samples
    design = _design(drawn)
    fold = drawn.folds(folds, seed)
    if len(grid) == 1 or fold.max() < 0:
        zeros = np.zeros((samples.classes, samples.features.shape[1]))
        choice = _Choice(grid[len(grid) // 2], {}, 1.0, zeros, zeros[:, 0])
    else:
        choice = _choose(drawn, design, fold, grid, calibrate)
    if many:
        design = _design(samples)
    weight, bias = _fit_all(samples, design, choice)
    held_out = None if many or choice.held_out is None else choice.held_out / choice.temperature
    return Probe(
        weight / choice.temperature,
        bias / choice.temperature,
        choice.C,
        choice.scores,
        len(grid) > 1 and choice.C in (grid[0], grid[-1]),
        drawn.images if choice.scores else 0,
        int(fold.max()) + 1 if choice.scores else 0,
        choice.temperature,
        design.constant,
        held_out,
    )


@dataclass(frozen=True)
class _Choice:
    """What cross-validation chose, and a classifier near the final one."""

    C: float
    scores: dict[float, float]
    temperature: float
    weight: Array
    bias: Array
    held_out: Array | None = None


def _design(samples: WeightedSamples) -> Design:
    return Design.of(samples.features, samples.shares(np.ones(len(samples.labels), bool)))


def _choose(
    samples: WeightedSamples,
    design: Design,
    fold: NDArray[np.intp],
    grid: Sequence[float],
    calibrate: bool,
) -> _Choice:
    held_out = [fold == number for number in range(fold.max() + 1)]
    measured = samples.weights(samples.clean & (fold >= 0))
    features, scales = design.inside(np.stack([samples.shares(~held) for held in held_out]))
    kind = design.columns.dtype.type
    loss = SoftmaxLoss(
        features,
        samples.labels,
        samples.classes,
        train=np.stack([samples.weights(~held) for held in held_out]).astype(kind),
        held=np.stack([measured * held for held in held_out]).astype(kind),
        scale=scales.astype(kind),
        kind=kind,
    )
    path = search(loss, design, grid)
    rows, logits = _held_out(loss, path)
    weights = loss.held.sum(axis=0)
    heat = find_temperature(logits, loss.labels[rows], weights[rows]) if calibrate else 1.0
    everywhere = np.full((len(samples.labels), samples.classes), np.nan, logits.dtype)
    everywhere[rows] = logits
    slopes, biases = loss.split(path.points.astype(np.float64))
    near = design.weights(slopes.mean(axis=0), biases.mean(axis=0))
    return _Choice(path.C, path.losses, heat, *near, everywhere)


def _held_out(loss: SoftmaxLoss, path: Path) -> tuple[NDArray[np.intp], Array]:
    """Return the rows that are in some fold, fold by fold, and their logits (rows, K)."""
    rows, logits = [], []
    for number, held in enumerate(loss.held):
        rows.append(np.flatnonzero(held))
        of_fold = loss.logits(path.points[[number]], np.array([number]))[0]
        logits.append(of_fold[:, rows[-1]].T)
    return np.concatenate(rows), np.concatenate(logits)


def _fit_all(samples: WeightedSamples, design: Design, choice: _Choice) -> tuple[Array, Array]:
    """Fit all rows at the chosen C, in double precision."""
    small = design.columns.size <= _DOUBLE_ELEMENTS
    weights = samples.weights(np.ones(len(samples.labels), bool))[None]
    loss = SoftmaxLoss(
        design.columns.astype(np.float64, copy=False) if small else design.columns,
        samples.labels,
        samples.classes,
        train=weights,
        held=np.zeros_like(weights),
        scale=np.ones((1, design.columns.shape[1])),
        C=choice.C,
    )
    weight, bias = design.coefficients(choice.weight, choice.bias)
    points, _ = fit(loss, design, loss.join(weight[None], bias[None]), EXACT)
    [weight], [bias] = loss.split(points)
    weight, bias = design.weights(weight, bias)
    return weight, bias - bias.mean()
