"""Networks run without learning: the same function, in fewer or quicker operations."""

from graft.inference.agreement import autocast, resting
from graft.inference.engine import Engine, eval_batch, padded_batches, run_head
from graft.inference.folding import Folded, fold
from graft.inference.passes import (
    Grafted,
    Outputs,
    forward,
    probabilities,
    require_finite,
    run,
)
from graft.inference.predictor import Predictor, Unreadable

__all__ = [
    "Engine",
    "Folded",
    "Grafted",
    "Outputs",
    "Predictor",
    "Unreadable",
    "autocast",
    "eval_batch",
    "fold",
    "forward",
    "padded_batches",
    "probabilities",
    "require_finite",
    "resting",
    "run",
    "run_head",
]
