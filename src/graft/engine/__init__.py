"""Frozen networks made faster: the same function, in fewer or quicker operations."""

from graft.engine.folding import Folded, fold
from graft.engine.modes import resting

__all__ = ["Folded", "fold", "resting"]
