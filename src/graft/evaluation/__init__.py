"""Numbers about a model: metrics, intervals, the diagnosis."""

from graft.evaluation.diagnosis import diagnose
from graft.evaluation.interval import wilson_interval
from graft.evaluation.metrics import accuracy, mean_loss, metrics

__all__ = [
    "accuracy",
    "diagnose",
    "mean_loss",
    "metrics",
    "wilson_interval",
]
