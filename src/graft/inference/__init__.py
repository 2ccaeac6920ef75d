"""Networks run without learning: the same function, in fewer or quicker operations."""

from graft.inference.agreement import resting
from graft.inference.folding import Folded, fold
from graft.inference.passes import (
    Grafted,
    Outputs,
    autocast,
    eval_batch,
    forward,
    padded_batches,
    probabilities,
    require_finite,
    run,
    run_head,
)

__all__ = [
    "Folded",
    "Grafted",
    "Outputs",
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
