"""Networks in eval mode: the same function, in fewer or faster operations."""

from graft.inference.agreement import autocast, eval_mode
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
    "eval_mode",
    "fold",
    "forward",
    "padded_batches",
    "probabilities",
    "require_finite",
    "run",
    "run_head",
]
