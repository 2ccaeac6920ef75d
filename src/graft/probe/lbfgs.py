"""L-BFGS for many smooth convex problems at once, each with its own step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Which: TypeAlias = NDArray[np.intp]
Precondition: TypeAlias = Callable[[Array, Array, Which], Array]

ARMIJO = 1e-4
"""Share of the decrease that the slope promises which a step must deliver."""

SLOPE_BEYOND = 0.8
"""Near a minimum rounding hides the decrease; there a step is good where the slope at its end
points back at most this steeply."""

HOPELESS = 40
"""Rounds in a row without a decrease that shows, after which rounding stands in the way."""


def minimise(
    function: Callable[[Array, Which], tuple[Array, Array, Array]],
    start: Array,
    precondition: Precondition,
    *,
    tolerance: Array,
    memory: int = 10,
    rounds: int = 1000,
) -> tuple[Array, Array]:
    """Minimise P smooth convex functions of N variables each, in one batch.

    Every round evaluates one trial point of each problem that is still open, all in one call of
    `function`. Some accept theirs and take a new direction, others try a shorter step; none waits.
    A problem leaves the batch when the decrease that its next direction promises, which estimates
    twice the distance to the least value, is within its tolerance.

    Args:
        function: Points (Q, N) and the numbers (Q,) of their problems to values (Q,) in double
            precision, gradients (Q, N), and notes (Q, M) for `precondition` and the caller.
        start: Shape (P, N); its dtype is that of the computation.
        precondition: Vectors (Q, N), the notes (Q, M) of the current points and the problems'
            numbers (Q,) to about the inverse Hessian times the vectors, in its true scale.
        tolerance: Shape (P,).
        memory: Pairs of steps and changes of the gradient remembered.
        rounds: Most calls of `function`.

    Returns:
        The solutions (P, N), and the notes (P, M) of each at its solution.

    Source:
        Nocedal and Wright 2006, Numerical Optimization, algorithm 7.4; the rule for steps near the
        minimum is the approximate Wolfe condition of Hager and Zhang 2005.

    Example:
        >>> targets, steepness = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0], [100.0]])
        >>> def bowls(points, which):
        ...     away, steep = points - targets[which], steepness[which]
        ...     return (steep * away**2).sum(axis=1), 2 * steep * away, away[:, :0]
        >>> tight = np.full(2, 1e-12)
        >>> found, _ = minimise(bowls, np.zeros((2, 2)), lambda v, *_: v / 2, tolerance=tight)
        >>> found.round(4).tolist()
        [[1.0, 2.0], [3.0, 4.0]]
    """
    rounding = 8 * float(np.finfo(start.dtype).eps)
    which = np.arange(len(start))
    here = _Places(which, start, *function(start, which))
    pairs = _Pairs(memory, start)
    heading = -precondition(here.gradients, here.notes, which)
    lengths, idle = np.ones(len(which)), np.zeros(len(which))
    solved, solved_notes = start.copy(), here.notes.copy()
    for left in reversed(range(rounds)):
        slopes = _dot(heading, here.gradients)
        done = (-slopes <= tolerance[here.which]) | (idle > HOPELESS) | (left == 0)
        if done.any():
            solved[here.which[done]] = here.points[done]
            solved_notes[here.which[done]] = here.notes[done]
            if done.all():
                break
            here, pairs = here.only(~done), pairs.only(~done)
            heading, slopes = heading[~done], slopes[~done]
            lengths, idle = lengths[~done], idle[~done]
        trial = here.points + lengths.astype(start.dtype)[:, None] * heading
        there = _Places(here.which, trial, *function(trial, here.which))
        rises, visible = there.values - here.values, rounding * np.abs(here.values)
        good = (rises <= ARMIJO * lengths * slopes) | (
            (_dot(heading, there.gradients) <= -SLOPE_BEYOND * slopes) & (rises <= visible)
        )
        idle = np.where(rises < -visible, 0, idle + 1)
        pairs.remember(here, there, good)
        here = here.where(good, there)
        turned = -pairs.bend(here, precondition)
        heading = np.where(good[:, None], turned, heading)
        lengths = np.where(good, 1.0, _shorter(lengths, slopes, rises))
    return solved, solved_notes


@dataclass(frozen=True)
class _Places:
    """Points of problems, with the values and gradients of the functions there."""

    which: Which
    points: Array
    values: Array
    gradients: Array
    notes: Array

    def only(self, keep: Array) -> _Places:
        return _Places(*(getattr(self, field.name)[keep] for field in fields(self)))

    def where(self, chosen: Array, other: _Places) -> _Places:
        """Take the chosen problems' places from the other."""
        column = chosen[:, None]
        return _Places(
            self.which,
            np.where(column, other.points, self.points),
            np.where(chosen, other.values, self.values),
            np.where(column, other.gradients, self.gradients),
            np.where(column, other.notes, self.notes),
        )


class _Pairs:
    """The last steps and changes of the gradient, from which a direction is bent."""

    def __init__(self, memory: int, like: Array) -> None:
        self.steps = np.zeros((memory, *like.shape), like.dtype)
        self.changes = np.zeros_like(self.steps)
        self.flatness = np.zeros((memory, len(like)), like.dtype)
        self.seen = 0

    def only(self, keep: Array) -> _Pairs:
        self.steps, self.changes = self.steps[:, keep], self.changes[:, keep]
        self.flatness = self.flatness[:, keep]
        return self

    def remember(self, here: _Places, there: _Places, good: Array) -> None:
        """Replace the oldest pair of every problem; a refused step leaves a pair without effect."""
        slot, column = self.seen % len(self.steps), good[:, None]
        self.seen += 1
        self.steps[slot] = np.where(column, there.points - here.points, 0)
        self.changes[slot] = np.where(column, there.gradients - here.gradients, 0)
        curvature = _dot(self.steps[slot], self.changes[slot])
        bent = curvature > 0
        self.flatness[slot] = np.where(bent, 1 / np.where(bent, curvature, 1), 0)

    def bend(self, here: _Places, precondition: Precondition) -> Array:
        """Return the gradients times the inverse Hessian, as pairs and preconditioner know it."""
        memory = len(self.steps)
        slots = [at % memory for at in range(max(self.seen - memory, 0), self.seen)]
        rest, shares = here.gradients.copy(), {}
        for slot in reversed(slots):
            shares[slot] = self.flatness[slot] * _dot(self.steps[slot], rest)
            rest -= shares[slot][:, None] * self.changes[slot]
        result = precondition(rest, here.notes, here.which)
        for slot in slots:
            share = shares[slot] - self.flatness[slot] * _dot(self.changes[slot], result)
            result += share[:, None] * self.steps[slot]
        return result


def _shorter(lengths: Array, slopes: Array, rises: Array) -> Array:
    """Return the minimum of the parabola through a refused trial, within a tenth and a half."""
    curved = 2 * (rises - lengths * slopes)
    usable = np.isfinite(curved) & (curved > 0)
    best = np.where(usable, -slopes * lengths / np.where(usable, curved, 1), 0)
    shorter: Array = lengths * np.clip(best, 0.1, 0.5)
    return shorter


def _dot(left: Array, right: Array) -> Array:
    products: Array = np.einsum("pn,pn->p", left, right)
    return products
