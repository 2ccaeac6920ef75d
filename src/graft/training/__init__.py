"""Training: the loop, objectives, optimizers, schedules, checkpoints, guards."""

from graft.training.accelerator import require_device
from graft.training.checkpoints import Checkpoints, Position, Result
from graft.training.events import Listener, Silent
from graft.training.optimizers import build_optimizer, learning_rate
from graft.training.schedules import Schedule
from graft.training.trainer import Trainer

__all__ = [
    "Checkpoints",
    "Listener",
    "Position",
    "Result",
    "Schedule",
    "Silent",
    "Trainer",
    "build_optimizer",
    "learning_rate",
    "require_device",
]
