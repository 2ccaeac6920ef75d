"""Training: the loop, objectives, optimizers, schedules, checkpoints, guards."""

from graft.training.accelerator import require_device
from graft.training.callbacks import Callback, notify
from graft.training.checkpoints import Checkpoints, Position, Result
from graft.training.optimizers import build_optimizer, learning_rate
from graft.training.schedules import Schedule
from graft.training.trainer import Trainer

__all__ = [
    "Callback",
    "Checkpoints",
    "Position",
    "Result",
    "Schedule",
    "Trainer",
    "build_optimizer",
    "learning_rate",
    "notify",
    "require_device",
]
