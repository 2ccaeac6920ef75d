"""The loop: a plan, a classifier and an objective in; the best classifier of the run out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graft.allocator import keep_freed_memory
from graft.cache.feature_cache import FeatureCache
from graft.config import TrainingOptions
from graft.data.loader import Loader
from graft.errors import DivergedError
from graft.heads.linear import LinearHead
from graft.inference import Outputs, run_head
from graft.isolation import isolated
from graft.model import Model
from graft.run import append_line
from graft.strategies import Phase, Plan
from graft.tasks import Objective, Progress
from graft.timing import Stopwatch
from graft.training.accelerator import find_device, make_accelerator
from graft.training.checkpoints import Checkpoints, Position, Result
from graft.training.events import Listener, Silent
from graft.training.feed import Feed
from graft.training.freezing import apply_phase, audit, fingerprints
from graft.training.inputs import Inputs
from graft.training.optimizers import learning_rate, rates, set_rates
from graft.training.schedules import Schedule
from graft.training.steps import NotFiniteError, Steps

RETRIES = 2
"""How often a run may be rolled back and slowed down before it counts as diverged."""

SLOWDOWN = 0.1
"""Factor on every learning rate after a rollback."""


class Trainer:
    """Carries out a plan.

    Args:
        classifier: Trained in place; after `train` it holds the best result over all phases.
        plan: What learns, when, and how fast.
        train: Loader of augmented training images.
        val: Loader of clean validation images, as from `classifier.loader`.
        options: Optimizer, schedule, batch, precision.
        objective: What is minimised; None takes the task's own.
        clean: Loader of clean training images, from which a head is solved; None makes one.
        cache: Keeps what frozen stages make of images; None keeps it in memory for this run.
        seed: Of order, augmentation, drop-out and folds.
        device: `auto`, `cpu`, `cuda`, ...
        folder: Run folder for metrics and checkpoints; None keeps everything in memory.
        resume: Continue from the folder's newest complete checkpoint.
        listener: Hears of the progress.
        watch: Collects the seconds of `extract`, `train` and `evaluate`.

    Raises:
        DivergedError: A loss or gradient was not finite again after `RETRIES` rollbacks.
        GraftError: The freeze audit failed.
    """

    def __init__(
        self,
        classifier: Model,
        plan: Plan,
        train: Loader,
        val: Loader,
        *,
        options: TrainingOptions | None = None,
        objective: Objective | None = None,
        clean: Loader | None = None,
        cache: FeatureCache | None = None,
        seed: int = 0,
        device: str = "auto",
        folder: Path | None = None,
        resume: bool = False,
        listener: Listener | None = None,
        watch: Stopwatch | None = None,
    ) -> None:
        keep_freed_memory()
        self.options = options or TrainingOptions()
        self.classifier, self.task, self.plan, self.seed = classifier, classifier.task, plan, seed
        self.train_loader, self.val_loader = train, val
        self.cache = cache or FeatureCache()
        self.objective = objective or classifier.task.objective(self.options, train.samples)
        self.listener, self.watch = listener or Silent(), watch or Stopwatch()
        self.folder, self._device = folder, device
        # Without epochs there is nothing that a second attempt would not do as quickly.
        self.checkpoints = Checkpoints(folder / "checkpoints") if folder and plan.epochs else None
        self.lr = learning_rate(self.options, plan.strategy)
        self.position = Position()
        self.best_outputs: Outputs | None = None
        self.solved_outputs: Outputs | None = None
        self.best_state: dict[str, Tensor] | None = None
        self._retries = 0
        placed = find_device(device, self.options.precision)
        classifier.to(placed, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.feed = Feed(
            classifier,
            plan,
            train,
            clean or classifier.loader(train.samples, workers=train.workers, pixels=train.pixels),
            val,
            options=self.options,
            cache=self.cache,
            listener=self.listener,
            watch=self.watch,
        )
        if resume and self.checkpoints:
            self._restore()

    @cached_property
    def steps(self) -> Steps:
        """What takes the optimizer's steps; a plan without epochs never asks for it."""
        return Steps(
            self.classifier,
            make_accelerator(self._device, self.options.precision),
            self.objective,
            self.options,
            self.listener.say,
            parts=self.options.accumulate,
        )

    @isolated()
    def train(self) -> Result:
        """Carry out the rest of the plan and leave the best weights in the classifier.

        Returns:
            The best validation result.
        """
        try:
            while self.position.phase < len(self.plan.phases):
                try:
                    self._phase(self.plan.phases[self.position.phase])
                except NotFiniteError as error:
                    # Perhaps into an earlier phase: the last checkpoint may be of its end.
                    self._roll_back(error)
                else:
                    self.position.phase += 1
                    self.position.phase_epoch = self.position.stale = 0
                    self.position.phase_best = self.position.fingerprints = None
        finally:
            self.finish()
        assert self.position.best is not None, "a plan has at least one phase"
        return self.position.best

    def finish(self) -> None:
        """Put the best weights so far into the classifier, which is then in eval mode."""
        if self.best_state is not None:
            self.classifier.restore(self.best_state)
        self.classifier.requires_grad_(True).eval()

    def _phase(self, phase: Phase) -> None:
        self.listener.phase(phase, self.position.phase, len(self.plan.phases))
        apply_phase(self.classifier, self.plan, phase)
        if self.position.fingerprints is None:
            self.position.fingerprints = fingerprints(self.classifier, self.plan.frozen(phase))
        if phase.method == "gradient":
            self._gradient(phase)
        elif not self.position.solved:
            self._solve()
        audited = audit(self.classifier, self.position.fingerprints or {}, phase.name)
        self.position.audits.append(audited)

    def _solve(self) -> None:
        """Fit a linear head to convergence on the frozen trunk's features."""
        classifier = self.classifier
        features = self.feed.features(self.position.fingerprints or {})
        targets = self.feed.clean.targets
        with self.watch("train"):
            head = classifier.head
            assert isinstance(head, LinearHead), "only a linear head can be solved"
            augmented = self.train_loader.augmentation is not None
            solved = self.task.solve(
                Outputs(features.train, targets),
                Outputs(features.val, self.val_loader.targets),
                features.view,
                views=self.options.views or 0 if augmented else 0,
                options=self.options,
                seed=self.seed,
            )
            assert solved is not None, "a plan solves only what can be solved"
            solved.solution.install(head)
            self.position.probe = solved.record
        batch = classifier.eval_batch
        outputs = Outputs(run_head(head, features.val, batch), self.val_loader.targets)
        self.solved_outputs = Outputs(run_head(head, features.train, batch), targets)
        self.position.solved = True
        exact = self.options.precision == "fp32"
        line: dict[str, Any] = {
            "train_loss": None,
            f"train_{self.task.metric}": self.task.score(self.solved_outputs).value,
            "lr": {},
            "views": solved.views,
            "probe": self.position.probe,
        }
        self._record(outputs, line, exact=exact)

    def _gradient(self, phase: Phase) -> None:
        """Run epochs until the phase, its plateau, the plan or early stopping ends it."""
        if self.checkpoints and not self.checkpoints.complete():
            self._save()
        if self._over(phase):
            return
        position, head = self.position, self.classifier.head
        if position.solved and position.epoch == 0 and isinstance(head, LinearHead):
            head.shrink()
        left = min(phase.epochs - position.phase_epoch, self.plan.epochs - position.epoch)
        epochs = range(position.epoch + 1, position.epoch + left + 1)
        inputs = self.feed.inputs(self.steps.model, phase, position.fingerprints or {}, epochs)
        while not self._over(phase):
            self._epoch(phase, inputs)

    def _over(self, phase: Phase) -> bool:
        position, limits = self.position, (phase.patience, self.options.early_stopping)
        return (
            position.phase_epoch >= phase.epochs
            or position.epoch >= self.plan.epochs
            or any(limit is not None and position.stale >= limit for limit in limits)
        )

    def _epoch(self, phase: Phase, inputs: Inputs) -> None:
        position, loader = self.position, self.train_loader
        optimizer = self.steps.optimizer
        epoch = position.epoch + 1
        missing = inputs.missing(epoch)
        if missing:
            self.listener.extracting(missing)
            with self.watch("extract"):
                inputs.prepare(epoch, self.listener.extracted)
        # Drop-out draws from here: a function of seed and epoch, so that a resumed run repeats it.
        torch.manual_seed(self.seed * 1_000_003 + epoch)
        apply_phase(self.classifier, self.plan, phase)
        schedule = self._schedule()
        self.listener.epoch(epoch, self.plan.epochs, len(loader))
        total_loss, images, step = 0.0, 0, position.step
        started = self.watch.spent("train")
        with self.watch("train"):
            for batch in inputs.epoch(epoch):
                set_rates(optimizer, phase, self.lr * position.rate_scale * schedule.factor)
                used = rates(optimizer, phase)
                progress = Progress(step, self.plan.epochs * len(loader), epoch, self.seed)
                losses = self.steps.take(batch, progress, inputs.model)
                schedule.step()
                step += 1
                loss = sum(losses.values())
                total_loss += loss * len(batch)
                images += len(batch)
                self._write(
                    "steps.jsonl",
                    {"step": step, "epoch": epoch, "loss": loss, "losses": losses, "lr": used},
                )
                self.listener.batch(loss)
        seconds = self.watch.spent("train") - started
        position.step, position.epoch = step, epoch
        position.phase_epoch += 1
        with self.watch("evaluate"):
            outputs = inputs.validate()
        self._record(
            outputs,
            {
                "train_loss": total_loss / images,
                f"train_{self.task.metric}": None,
                "lr": used,
                "seconds": round(seconds, 3),
                "images_per_second": round(images / seconds, 1),
            },
            exact=inputs.exact,
        )

    def _record(self, outputs: Outputs, line: Mapping[str, Any], *, exact: bool) -> None:
        """Take note of a validation result: best so far, history, checkpoint, metrics, listener.

        Args:
            outputs: Logits on the validation images.
            line: What else belongs into `metrics.jsonl`.
            exact: Whether the logits are those of `graft predict`, to the last bit.
        """
        position = self.position
        score = self.task.score(outputs)
        if not math.isfinite(score.loss):
            raise NotFiniteError(
                f"the validation loss became {score.loss}", position.step, position.epoch
            )
        if position.epoch:
            position.scores.append(score.value)
        result = Result(position.epoch, position.step, score)
        better = result.beats(position.best)
        if result.beats(position.phase_best):
            position.phase_best, position.stale = result, 0
        else:
            position.stale += 1
        if better:
            position.best, self.best_outputs = result, outputs if exact else None
            self.best_state = {
                name: tensor.clone() for name, tensor in self.classifier.state_dict().items()
            }
        record = {
            "phase": self.plan.phases[position.phase].name,
            "phase_index": position.phase,
            "epoch": position.epoch,
            "step": position.step,
            **line,
            "val_loss": score.loss,
            f"val_{self.task.metric}": score.value,
            "best": better,
        }
        # The line comes first: one without its checkpoint is dropped and written again on resume.
        self._write("metrics.jsonl", record)
        self._save()
        self.listener.result(record)

    def _schedule(self) -> Schedule:
        """Return the schedule, moved to where the run is: a function of what has happened."""
        steps = len(self.train_loader)
        schedule = Schedule(self.options, epochs=self.plan.epochs, steps_per_epoch=steps)
        for value in self.position.scores:
            for _ in range(steps):
                schedule.step()
            schedule.epoch_end(value)
        return schedule

    def _roll_back(self, error: NotFiniteError) -> None:
        self._retries += 1
        scale = self.position.rate_scale * SLOWDOWN
        if self._retries > RETRIES or not self.checkpoints:
            raise DivergedError(
                f"Training diverged: {error}, after {self._retries - 1} rollbacks.",
                f"Lower --lr (it is {self.lr:g}), or clip gradients with --clip 1.",
            ) from error
        self._restore()
        self.position.rate_scale = scale
        self.listener.say(
            f"{error}: back to the end of epoch {self.position.epoch}, learning rates x {scale:g}."
        )

    def _restore(self) -> None:
        assert self.checkpoints is not None, "only a run with a folder can be restored"
        position = self.checkpoints.position()
        if position is None:
            return  # killed before its first checkpoint: there is nothing to lose
        self.position = position
        self.classifier.restore(self.checkpoints.model(position.step))
        self.checkpoints.restore_optimizer(position.step, self.steps.optimizer)
        if position.best is not None:
            self.best_state = self.checkpoints.model(position.best.step)

    def _save(self) -> None:
        if self.checkpoints:
            self.checkpoints.save(self.position, self.classifier.state_dict(), self.steps.optimizer)

    def _write(self, name: str, record: Mapping[str, Any]) -> None:
        if self.folder:
            append_line(self.folder / name, record)
