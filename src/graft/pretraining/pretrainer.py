"""The loop of pre-training: pictures and an objective in, a backbone out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from graft.allocator import keep_freed_memory
from graft.backbones.backbone import Backbone
from graft.errors import DivergedError
from graft.pretraining.collapse import Collapse, measure_collapse
from graft.pretraining.pictures import Pictures, PretextBatch
from graft.pretraining.recipe import PretrainOptions
from graft.pretraining.supervised import FactorHeads
from graft.procedural import UNSEEN
from graft.run import append_line
from graft.tasks import Progress
from graft.timing import Stopwatch
from graft.training.accelerator import make_accelerator
from graft.training.checkpoints import Checkpoints, Position
from graft.training.events import Listener, Silent
from graft.training.optimizers import LEARNING_RATE
from graft.training.schedules import Schedule
from graft.training.steps import NotFiniteError, Steps
from graft.training.trainer import RETRIES, SLOWDOWN

MEASURED = 1024
"""Held-out pictures that are looked at after every epoch."""

PATIENCE = 3
"""Epochs that features may be alike: a network that has just begun often looks collapsed."""

FROM_NOTHING = 10
"""Random weights bear a learning rate so many times that of pre-trained ones."""

PretextObjective = Callable[[Any, PretextBatch, Progress], dict[str, Tensor]]


class Pretext(nn.Module):
    """A trunk with what its features are trained through.

    Args:
        trunk: Images (N, 3, H, W) to features (N, width).
        head: Features to what the objective takes.
    """

    def __init__(self, trunk: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.trunk, self.head = trunk, head

    def parameters_by_stage(self) -> dict[str, list[nn.Parameter]]:
        """Return the parameters of both."""
        return {"trunk": list(self.trunk.parameters()), "head": list(self.head.parameters())}

    def forward(self, images: Tensor) -> Any:
        """Map normalised images to what the objective takes."""
        return self.head(self.trunk(images))


class Pretrainer:
    """Trains a backbone on pictures until the last epoch; any kill leaves an epoch to go on from.

    Args:
        backbone: Trained in place.
        pictures: What to learn from.
        head: What stands between the features and the objective; dropped afterwards.
        objective: `(model, batch, progress) -> named losses`.
        options: Epochs, optimizer, schedule, precision.
        fresh: Whether the backbone's weights are random, which allows a higher learning rate.
        seed: Of drop-out; the pictures and the head have been seeded before.
        device: `auto`, `cpu`, `cuda`, ...
        folder: Run folder for metrics and checkpoints; None keeps nothing.
        resume: Continue from the folder's newest complete checkpoint.
        listener: Hears of the progress.
        watch: Collects the seconds of `train` and `evaluate`.

    Raises:
        DivergedError: A loss was not finite again after two rollbacks, or the features collapsed.
        ResourceError: A batch does not fit into the memory.
    """

    def __init__(
        self,
        backbone: Backbone,
        pictures: Pictures,
        head: nn.Module,
        objective: PretextObjective,
        *,
        options: PretrainOptions,
        fresh: bool = True,
        seed: int = 0,
        device: str = "auto",
        folder: Path | None = None,
        resume: bool = False,
        listener: Listener | None = None,
        watch: Stopwatch | None = None,
    ) -> None:
        keep_freed_memory()
        self.backbone, self.pictures = backbone, pictures
        self.options, self.seed, self.folder = options, seed, folder
        self.listener, self.watch = listener or Silent(), watch or Stopwatch()
        self.lr = learning_rate(options, fresh=fresh)
        self.accelerator = make_accelerator(device, options.precision)
        self.pretext = Pretext(backbone.module, head)
        self.pretext.to(self.accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.steps = Steps(
            self.pretext, self.accelerator, objective, options, self.listener.say, parts=None
        )
        self.checkpoints = Checkpoints(folder / "checkpoints") if folder else None
        self.position = Position()
        self.collapse: Collapse | None = None
        self.lines: list[dict[str, Any]] = []
        self._retries = 0
        if resume:
            self._restore()

    def train(self) -> None:
        """Carry out the rest of the epochs and leave the backbone plain and in eval mode."""
        try:
            if self.checkpoints and not self.checkpoints.complete():
                self._save()
            while self.position.epoch < self.options.epochs:
                try:
                    self._epoch()
                except NotFiniteError as error:
                    self._roll_back(error)
            if self.collapse is None:
                self.collapse = measure_collapse(self._measure()[0])
        finally:
            self.backbone.module.eval()

    def back_to_last_epoch(self) -> None:
        """Put the weights after the last whole epoch back into the backbone."""
        self._restore()

    def _epoch(self) -> None:
        position, batches = self.position, len(self.pictures)
        epoch = position.epoch + 1
        torch.manual_seed(self.seed * 1_000_003 + epoch)
        self.pretext.train()
        schedule = Schedule(self.options, epochs=self.options.epochs, steps_per_epoch=batches)
        for _ in range(position.step):
            schedule.step()
        self.listener.epoch(epoch, self.options.epochs, batches)
        totals: dict[str, float] = {}
        images, started = 0, self.watch.spent("train")
        shown = self.pictures.epoch(position.epoch)
        with self.watch("train"), closing(shown):
            for number, batch in enumerate(shown):
                rate = self.lr * position.rate_scale * schedule.factor
                for group in self.steps.optimizer.param_groups:
                    group["lr"] = rate
                done = position.step + number
                progress = Progress(done, self.options.epochs * batches, epoch, self.seed)
                losses = self.steps.take(batch, progress, self.steps.model)
                schedule.step()
                images += len(batch)
                for name, value in losses.items():
                    totals[name] = totals.get(name, 0.0) + value * len(batch)
                self.listener.batch(sum(losses.values()))
        seconds = self.watch.spent("train") - started
        position.step, position.epoch = position.step + batches, epoch
        means = {name: total / images for name, total in totals.items()}
        self._note(means, rate, images, seconds)

    def _note(self, losses: dict[str, float], rate: float, images: int, seconds: float) -> None:
        """Measure on held-out pictures, write the epoch's line and its checkpoint."""
        with self.watch("evaluate"):
            features, known = self._measure()
            self.collapse = measure_collapse(features)
        complete = self.collapse.kind == "complete"
        self.position.stale = self.position.stale + 1 if complete else 0
        line = {
            "epoch": self.position.epoch,
            "step": self.position.step,
            "loss": sum(losses.values()),
            "losses": losses,
            "known": known,
            "spread": round(self.collapse.std, 4),
            "effective_rank": round(self.collapse.rank, 2),
            "lr": rate,
            "seconds": round(seconds, 3),
            "images_per_second": round(images / seconds, 1),
        }
        if self.folder:
            append_line(self.folder / "metrics.jsonl", line)
        self.lines.append(line)
        self._save()
        self.listener.say(_words(line, self.options.epochs))
        if self.collapse.collapsed:
            self.listener.say(self.collapse.words)
        if self.position.stale >= PATIENCE:
            raise DivergedError(
                f"{self.collapse.words} So it was for {PATIENCE} epochs.",
                "Start again with other options; the last checkpoint is kept.",
            )

    @torch.inference_mode()
    def _measure(self) -> tuple[Tensor, dict[str, float]]:
        """Return features of held-out pictures, and the share of each factor that is named right.

        Shares are of the pictures in which the factor can be seen, by the classifiers in training.
        """
        self.pretext.eval()
        features, right, seen = [], [], []
        head = self.pretext.head
        for batch in self.pictures.held_out(MEASURED):
            moved = batch.to(self.accelerator.device)
            found = self.pretext.trunk(moved.views[0])
            features.append(found.float().cpu())
            if isinstance(head, FactorHeads):
                guesses = torch.stack([logits.argmax(1) for logits in head(found)], 1)
                right.append((guesses == moved.labels).cpu())
                seen.append((moved.labels != UNSEEN).cpu())
        if not isinstance(head, FactorHeads):
            return torch.cat(features), {}
        shares = torch.cat(right).sum(0) / torch.cat(seen).sum(0).clamp(min=1)
        known = zip(head.names, shares.tolist(), strict=True)
        return torch.cat(features), {name: round(share, 4) for name, share in known}

    def _roll_back(self, error: NotFiniteError) -> None:
        self._retries += 1
        scale = self.position.rate_scale * SLOWDOWN
        if self._retries > RETRIES or not self.checkpoints:
            raise DivergedError(
                f"Pre-training diverged: {error}, after {self._retries - 1} rollbacks.",
                f"Lower --lr (it is {self.lr:g}), or clip gradients with --clip 1.",
            ) from error
        self._restore()
        self.position.rate_scale = scale
        self.listener.say(
            f"{error}: back to the end of epoch {self.position.epoch}, learning rate x {scale:g}."
        )

    def _restore(self) -> None:
        assert self.checkpoints is not None, "only a run with a folder can be restored"
        position = self.checkpoints.position()
        if position is None:
            return
        self.position = position
        self.pretext.load_state_dict(self.checkpoints.model(position.step))
        self.checkpoints.restore_optimizer(position.step, self.steps.optimizer)

    def _save(self) -> None:
        if self.checkpoints:
            self.checkpoints.save(self.position, self.pretext.state_dict(), self.steps.optimizer)


def learning_rate(options: PretrainOptions, *, fresh: bool) -> float:
    """Return the recipe's learning rate, or the default of its optimizer and start.

    Example:
        >>> learning_rate(PretrainOptions(), fresh=True)
        0.003
    """
    if options.lr is not None:
        return options.lr
    return float(f"{LEARNING_RATE[options.optimizer] * (FROM_NOTHING if fresh else 1):.1g}")


def _words(line: Mapping[str, Any], epochs: int) -> str:
    known = ", ".join(f"{name} {share:.1%}" for name, share in line["known"].items())
    parts = (
        f"epoch {line['epoch']:>3} of {epochs}",
        f"loss {line['loss']:.3f}",
        known and f"right: {known}",
        f"spread {line['spread']:.2f}",
        f"effective rank {line['effective_rank']:.0f}",
        f"{line['seconds']:.0f} s",
    )
    return "  " + "  ".join(part for part in parts if part)
