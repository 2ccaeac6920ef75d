"""A linear head for several labels per image: one L2-logistic regression per label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import torch
from torch import Tensor

from graft.probe.search import CS
from graft.probe.solve import Solution, solve


def solve_labels(
    features: Tensor,
    targets: Tensor,
    *,
    seed: int = 0,
    Cs: Sequence[float] = CS,
    folds: int = 5,
    balanced: bool = False,
    groups: Tensor | None = None,
    clean: Tensor | None = None,
) -> Solution:
    """Fit one binary logistic regression per label, each with its own cross-validated C.

    A label that every image has, or none, teaches nothing: its weights are 0 and its bias gives the
    probability (positives + 1) / (images + 2) to every image (Laplace's rule of succession).

    Args:
        features: Shape (N, width), float32; finite.
        targets: Shape (N, labels), 1 where an image has a label and 0 where it has not.
        seed: Of the folds.
        Cs: Inverse L2 Cs C to try.
        folds: Most folds.
        balanced: Weigh images with and without a label alike.
        groups: Shape (N,), integers: which image a row is a view of, as `solve` takes them.
        clean: Shape (N,), bool: the rows on which held-out loss is measured; None means all.

    Returns:
        Weights (labels, width) and biases (labels,) for one sigmoid each. `parts` has the solution
        of each label; `C` is the median of theirs, and its score the mean of their
        cross-validated losses, in nats per image and label.

    Source:
        Binary relevance: Tsoumakas and Katakis 2007, Multi-Label Classification: An Overview.

    Example:
        >>> points = torch.tensor([[-2.0], [-1.0], [-1.5], [1.0], [2.0], [1.5]])
        >>> targets = torch.tensor([[0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0]]).T
        >>> found = solve_labels(points, targets)
        >>> ((points @ found.weight.T + found.bias) > 0).int().T.tolist()
        [[0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0]]
    """
    parts = []
    for label in targets.long().T:
        if bool((label == label[0]).all()):
            parts.append(_constant(label, features.shape[1], groups))
            continue
        both = solve(
            features,
            label,
            2,
            seed=seed,
            Cs=Cs,
            folds=folds,
            balanced=balanced,
            groups=groups,
            clean=clean,
        )
        parts.append(_one_sigmoid(both))
    chosen = median([part.C for part in parts])
    # The mean loss over labels, under a single key: what more views of the images must lower.
    losses = [part.scores[part.C] for part in parts if part.scores]
    held_out = [part.held_out for part in parts if part.held_out is not None]
    return Solution(
        torch.cat([part.weight for part in parts]),
        torch.cat([part.bias for part in parts]),
        chosen,
        {chosen: math.fsum(losses) / len(losses)} if losses else {},
        any(part.at_edge for part in parts),
        max(part.images for part in parts),
        max(part.folds for part in parts),
        constant=all(part.constant for part in parts),
        parts=tuple(parts),
        held_out=torch.cat(held_out, dim=1) if len(held_out) == len(parts) else None,
    )


def _one_sigmoid(both: Solution) -> Solution:
    """Return the logit of the second class over the first."""
    held_out = both.held_out
    return replace(
        both,
        weight=both.weight[1:] - both.weight[:1],
        bias=both.bias[1:] - both.bias[:1],
        held_out=None if held_out is None else held_out[:, 1:] - held_out[:, :1],
    )


def _constant(label: Tensor, width: int, groups: Tensor | None) -> Solution:
    images = len(label) if groups is None else len(torch.unique(groups))
    positives = images * int(label[0])
    bias = math.log((positives + 1) / (images - positives + 1))
    middle = CS[len(CS) // 2]
    held_out = torch.full((len(label), 1), bias)
    return Solution(
        torch.zeros(1, width), torch.tensor([bias]), middle, constant=True, held_out=held_out
    )
