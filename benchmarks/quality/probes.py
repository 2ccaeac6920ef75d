"""Linear classifiers of frozen features, and of what needs no network."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.quality.hog import hog
from benchmarks.quality.tasks import Task
from graft.data.decode import decode
from graft.data.preprocess import Preprocess
from graft.probe.solve import solve

PIXEL_SIDE = 32
HOG_SIDE = 64
CS = np.logspace(-6, 1, 8)
FOLDS = 3


def probe(features: torch.Tensor, task: Task) -> float:
    """Return the test accuracy of Graft's solved head on features (N, width)."""
    labels, cut = torch.from_numpy(task.labels), task.training
    solution = solve(features[:cut], labels[:cut], task.classes)
    predicted = (features[cut:] @ solution.weight.T + solution.bias).argmax(dim=1)
    return float((predicted == labels[cut:]).double().mean())


def logistic_regression(rows: NDArray[np.float32], task: Task) -> float:
    """Return the test accuracy of scikit-learn's, its strength cross-validated on training rows.

    Raises:
        ConvergenceWarning: The final fit, or one of the folds, did not converge.
    """
    cut = task.training
    classifier = make_pipeline(
        StandardScaler(),
        LogisticRegressionCV(
            Cs=CS,
            cv=StratifiedKFold(FOLDS, shuffle=True, random_state=0),
            l1_ratios=(0.0,),
            scoring="neg_log_loss",
            max_iter=2000,
            tol=1e-3,
            use_legacy_attributes=False,
        ),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        classifier.fit(rows[:cut], task.labels[:cut])
    return float((classifier.predict(rows[cut:]) == task.labels[cut:]).mean())


def pixel_rows(task: Task) -> NDArray[np.float32]:
    """Return pixels in 0..1, at 32 pixels a side or the images' own size where that is smaller."""
    smallest = min(min(decode(image).size) for image in task.images[:1])
    side = min(PIXEL_SIDE, smallest)
    return _rows(task, side, lambda pixels: pixels.ravel() / np.float32(255))


def hog_rows(task: Task) -> NDArray[np.float32]:
    """Return histograms of oriented gradients at 64 pixels a side."""
    return _rows(task, HOG_SIDE, hog)


def _rows(
    task: Task, side: int, describe: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Describe the views of a task's images that a network of that side would see."""
    view = Preprocess(side)
    return np.stack(
        [
            describe(np.asarray(view.view(decode(image, view.decode_shorter))))
            for image in task.images
        ]
    )
