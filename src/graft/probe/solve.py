"""A linear head fitted to convergence on frozen features, instead of by epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from graft.errors import DataError
from graft.heads.linear import LinearHead
from graft.probe.design import WeightedSamples
from graft.probe.search import CS, fit_probe


@dataclass(frozen=True)
class Solution:
    """A solved linear head.

    Args:
        weight: Shape (classes, width), for features as they are: standardisation is folded in.
        bias: Shape (classes,).
        C: The inverse L2 penalty C that was chosen.
        scores: Cross-validated loss of each C tried, in nats per image.
        at_edge: Whether the chosen C is the first or the last of those tried, so that a better
            one may lie beyond.
        images: Number of images on which C was chosen; 0 where there was nothing to choose by.
        folds: In how many folds; 0 likewise.
        temperature: By which the logits were divided; 1 for not at all.
        constant: Whether the features are the same for every image: no class can be separated, and
            every image gets the classes' frequencies.
        parts: The solution of each output, where each was solved by itself.
        held_out: Outputs (N, classes) for the rows, each by a head that did not see it, at the
            chosen C; NaN for rows that are in no fold or not clean. None where C was chosen on a
            draw, or not by folds.
    """

    weight: Tensor
    bias: Tensor
    C: float
    scores: dict[float, float] = field(default_factory=dict)
    at_edge: bool = False
    images: int = 0
    folds: int = 0
    temperature: float = 1.0
    constant: bool = False
    parts: tuple[Solution, ...] = ()
    held_out: Tensor | None = None

    def install(self, head: LinearHead) -> None:
        """Write the solution into a head."""
        with torch.no_grad():
            head.linear.weight.copy_(self.weight)
            head.linear.bias.copy_(self.bias)


def solve(
    features: Tensor,
    labels: Tensor,
    classes: int,
    *,
    seed: int = 0,
    Cs: Sequence[float] = CS,
    folds: int = 5,
    balanced: bool = False,
    groups: Tensor | None = None,
    clean: Tensor | None = None,
    calibrate: bool = True,
) -> Solution:
    """Fit multinomial logistic regression with C chosen by cross-validation.

    Minimised is the sum of the rows' cross-entropies plus |w|^2 / (2 C), the intercept free, on
    standardised features; for two classes w is the weight of one sigmoid's logit. In each fold
    features are standardised by that fold's training rows alone. The folds are stratified and
    seeded. The C with the least loss on held-out images is chosen, the smaller of equals: on a
    few hundred images losses differ long before accuracies do. Values of C are tried
    from small to large; after 20 of them the rest is left out once the held-out loss has risen by
    5 % over the least. The final fit is of all rows, to convergence in double precision.

    Of more than 20,000 images, C is chosen on a stratified draw of about so many. Where no
    class has two images there is nothing to choose by, and the middle C is taken.

    Args:
        features: Shape (N, width), float32; finite.
        labels: Shape (N,), each class present.
        classes: Number of classes, at least 2.
        seed: Of the folds.
        Cs: Inverse L2 Cs C to try.
        folds: Most folds.
        balanced: Weigh classes by their inverse frequency, in the held-out loss too.
        groups: Shape (N,), integers: which image a row is a view of. The views of an image are on
            one side of every fold and share its weight. None means one row for each image.
        clean: Shape (N,), bool: the rows on which held-out loss is measured; None means all.
        calibrate: Divide the logits by the temperature that minimises the held-out loss, where it
            lowers that by more than chance does. Predicted classes stay as they are.

    Raises:
        DataError: A class has no row, or no row is clean.

    Source:
        The linear probe of Alain and Bengio 2016, arXiv:1610.01644; the regularisation path of
        Friedman, Hastie and Tibshirani 2010, Regularization Paths for Generalized Linear Models.

    Example:
        >>> points = torch.tensor([[-2.0], [-1.0], [-1.5], [1.0], [2.0], [1.5]])
        >>> found = solve(points, torch.tensor([0, 0, 0, 1, 1, 1]), 2)
        >>> (points @ found.weight.T + found.bias).argmax(dim=1).tolist()
        [0, 0, 0, 1, 1, 1]
    """
    x, y = features.numpy(), labels.numpy()
    missing = np.setdiff1d(np.arange(classes), y)
    if len(missing):
        raise DataError(
            f"Class {missing[0]} of {classes} has no row among the {len(y)} to learn from.",
            "Give at least one image of every class.",
        )
    if clean is not None and not clean.any():
        raise DataError(
            f"None of the {len(y)} rows is marked as clean.",
            "Mark the rows of images as they are, on which a loss may be measured.",
        )
    owner = np.arange(len(y)) if groups is None else groups.numpy()
    samples = WeightedSamples(
        x,
        y,
        classes,
        np.unique(owner, return_inverse=True)[1],
        np.ones(len(y), bool) if clean is None else clean.numpy(),
        balanced,
    )
    probe = fit_probe(samples, seed=seed, Cs=Cs, folds=folds, calibrate=calibrate)
    return Solution(
        torch.from_numpy(probe.weight).float(),
        torch.from_numpy(probe.bias).float(),
        probe.C,
        probe.scores,
        probe.at_edge,
        probe.images,
        probe.folds,
        probe.temperature,
        probe.constant,
        held_out=None if probe.held_out is None else torch.from_numpy(probe.held_out).float(),
    )
