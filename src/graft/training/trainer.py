"""The loop: a model, a plan and an objective in; the best model of the run out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graft.cache.feature_cache import FeatureCache
from graft.config import TrainingOptions
from graft.data.loader import Batch, Loader
from graft.errors import DivergedError, RecipeError
from graft.heads.linear import LinearHead
from graft.host import isolated, keep_freed_memory
from graft.inference import Outputs, run_head
from graft.machine import Stopwatch
from graft.model import Model
from graft.run import score_key
from graft.strategies import Phase, Plan
from graft.strategies.optimization import OF_THE_OPTIMIZER
from graft.tasks import FrozenFeatures, Objective, Progress, streams_of
from graft.training.accelerator import find_device, make_accelerator
from graft.training.callbacks import Callback, Checkpointing, EarlyStopping, MetricsFiles, notify
from graft.training.checkpoints import Checkpoints, Position, Result
from graft.training.features import FeatureSource, PhaseSource, Source, train_sample
from graft.training.freezing import apply_phase, audit, fingerprints
from graft.training.optimizers import learning_rate, rates, set_rates
from graft.training.schedules import Schedule
from graft.training.steps import NotFiniteError, Steps

RETRIES = 2
"""How often a run may be rolled back and slowed down before it counts as diverged."""

SLOWDOWN = 0.1
"""Factor on every learning rate after a rollback."""


class Trainer:
    """Carries out a plan: phase after phase, each a solved head or epochs of optimizer steps.

    From top to bottom: `train` goes through the phases; `run_phase` freezes, runs and audits one;
    `solve` fits a head to convergence; `run_epoch` takes a `train_step` for every batch; `validate`
    measures and `record` keeps the result. Each may be overridden; every one calls the callbacks.

    Args:
        model: Trained in place; after `train` it holds the best result over all phases.
        plan: What learns, when, and how fast.
        train: Augmented training images, whose length is that of an epoch: a `Loader`, or any
            `Source` where no head is solved.
        val: Clean validation images, as from `model.loader`; None validates nothing.
        options: Optimizer, schedule, batch, precision, and which weights are kept.
        objective: What is minimised; None takes the task's own.
        streams: Further sources by name. Every batch carries one batch of each that the objective
            declares.
        callbacks: Called in order, after those that write metrics and checkpoints.
        clean: Clean training images, to which a head is solved; None makes a loader of them.
        cache: Keeps what frozen stages make of images; None keeps it in memory for this run.
        seed: Of order, augmentation, drop-out and folds.
        device: `auto`, `cpu`, `cuda`, ...
        folder: Run folder for metrics and checkpoints; None keeps everything in memory.
        resume: Continue from the folder's newest complete checkpoint.
        watch: Collects the seconds of `extract`, `train` and `evaluate`.

    Attributes:
        position: Where the run is; what a checkpoint keeps besides tensors.
        resumed: Whether the run goes on from a checkpoint.
        history: The lines of `metrics.jsonl` so far.
        stop: Set it to end the run after the epoch under way.
        stop_phase: Set it to end the phase after the epoch under way.

    Raises:
        RecipeError: The objective declares a stream that is not given.
        DivergedError: A loss or gradient was not finite again after `RETRIES` rollbacks.
        GraftError: The freeze audit failed.
    """

    def __init__(
        self,
        model: Model,
        plan: Plan,
        train: Source,
        val: Loader | None = None,
        *,
        options: TrainingOptions | None = None,
        objective: Objective | None = None,
        streams: Mapping[str, Source] | None = None,
        callbacks: Sequence[Callback] = (),
        clean: Loader | None = None,
        cache: FeatureCache | None = None,
        seed: int = 0,
        device: str = "auto",
        folder: Path | None = None,
        resume: bool = False,
        watch: Stopwatch | None = None,
    ) -> None:
        keep_freed_memory()
        self.options = options or TrainingOptions()
        self.model, self.task, self.plan, self.seed = model, model.task, plan, seed
        self.train_loader, self.val_loader, self.keep = train, val, self.options.keep
        self.cache, self.watch = cache or FeatureCache(), watch or Stopwatch()
        if isinstance(train, Loader) and clean is None:
            clean = model.loader(train.samples, workers=train.workers, pixels=train.pixels)
        samples = clean.samples if clean else ()
        self.objective = objective or self.task.objective(self.options, samples)
        # Without epochs there is nothing that a second attempt would not do as quickly.
        self.checkpoints = Checkpoints(folder / "checkpoints") if folder and plan.epochs else None
        self.callbacks: list[Callback] = [EarlyStopping(self.options.early_stopping)]
        if folder:
            self.callbacks.append(MetricsFiles(folder))
        if self.checkpoints:
            self.callbacks.append(Checkpointing(self.checkpoints))
        self.callbacks.extend(callbacks)
        self.lr = learning_rate(self.options, plan.strategy)
        self.position = Position()
        self.history: list[dict[str, Any]] = []
        self.stop = self.stop_phase = False
        self.best_outputs: Outputs | None = None
        self.solved_outputs: Outputs | None = None
        self.best_state: dict[str, Tensor] | None = None
        self.resumed, self._device, self._retries = resume, device, 0
        placed = find_device(device, self.options.precision)
        model.to(placed, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.source = FeatureSource(
            model,
            plan,
            train,
            val,
            clean,
            train_sample(model, clean, seed) if clean is not None and val is not None else None,
            _declared(self.objective, train, streams or {}),
            self.options,
            self.cache,
            on_progress=lambda images, total: self.notify("on_progress", self, images, total),
            on_message=lambda message: self.notify("on_message", message),
            watch=self.watch,
        )
        if resume and self.checkpoints:
            self.restore()

    @cached_property
    def steps(self) -> Steps:
        """Takes the optimizer's steps; made when first used, never for a plan without epochs."""
        return Steps(
            self.model,
            make_accelerator(self._device, self.options.precision),
            self.objective,
            self.options,
            lambda message: self.notify("on_message", message),
            parts=self.options.accumulate,
        )

    def options_of(self, phase: Phase) -> TrainingOptions:
        """Return the options of a phase: the run's, but for its own settings."""
        return self.options.model_copy(update=dict(phase.settings))

    def schedule_of(self, phase: Phase) -> tuple[Schedule, int]:
        """Return the schedule of a phase and the epochs done before it begins.

        It is the run's, or the phase's own, over the phase's epochs.
        """
        epochs, begins = self.plan.epochs, 0
        if phase.settings.keys() - OF_THE_OPTIMIZER:
            epochs, begins = phase.epochs, self.position.epoch - self.position.phase_epoch
        return Schedule(self.options_of(phase), epochs, len(self.train_loader)), begins

    def notify(self, event: str, *arguments: Any) -> None:
        """Call a method of every callback."""
        notify(self.callbacks, event, *arguments)

    @isolated()
    def train(self) -> Result | None:
        """Carry out the rest of the plan and leave the kept weights in the model.

        Returns:
            The validation result of the kept weights; None without validation images.
        """
        self.notify("on_train_begin", self)
        try:
            while self.position.phase < len(self.plan.phases) and not self.stop:
                try:
                    self.run_phase(self.plan.phases[self.position.phase])
                except NotFiniteError as error:
                    # Perhaps into an earlier phase: the last checkpoint may be of its end.
                    self.roll_back(error)
                else:
                    position = self.position
                    position.phase += 1
                    position.phase_epoch = position.stale = 0
                    position.phase_best = position.fingerprints = None
        finally:
            self.finish()
        self.notify("on_train_end", self)
        return self.position.best

    def run_phase(self, phase: Phase) -> None:
        """Freeze what the phase freezes, solve or run its epochs, and prove what was frozen."""
        self.stop_phase = False
        if self.plan.epochs:
            self.steps.use(self.options_of(phase))
        apply_phase(self.model, self.plan, phase)
        if self.position.fingerprints is None:
            self.position.fingerprints = fingerprints(self.model, self.plan.frozen(phase))
        self.notify("on_phase_begin", self, phase)
        if phase.method == "gradient":
            self.run_epochs(phase)
        elif not self.position.solved:
            self.solve()
        audited = audit(self.model, self.position.fingerprints, phase.name)
        self.position.audits.append(audited)
        self.notify("on_phase_end", self, phase)

    def solve(self) -> None:
        """Fit the head to convergence on the frozen backbone's features."""
        head, train, val = self.model.head, self.source.clean, self.val_loader
        assert isinstance(head, LinearHead), "only a linear head can be solved"
        assert train is not None, "a head is solved on a loader's images"
        assert val is not None, "a solved head is measured on validation images"
        features = self.source.features(self.position.fingerprints or {})
        augmented = isinstance(self.train_loader, Loader) and self.train_loader.augmentation
        with self.watch("train"):
            solved = self.task.solve(
                FrozenFeatures(
                    Outputs(features.train, train.targets),
                    Outputs(features.val, val.targets),
                    features.view,
                    self.options.views or 0 if augmented else 0,
                    self.options,
                    self.seed,
                )
            )
            assert solved is not None, "a plan solves only what can be solved"
            solved.solution.install(head)
        batch = self.model.eval_batch
        outputs = Outputs(run_head(head, features.val, batch), val.targets)
        self.solved_outputs = Outputs(run_head(head, features.train, batch), train.targets)
        self.position.solved, self.position.probe = True, solved.record
        line: dict[str, Any] = {
            "train_loss": None,
            self._train_key: self.task.score(self.solved_outputs).value,
            "lr": {},
            "views": solved.views,
            "probe": solved.record,
        }
        self.record(line, outputs, exact=self.options.precision == "fp32")

    def run_epochs(self, phase: Phase) -> None:
        """Run epochs until the phase, the plan or a callback ends it."""
        position, head = self.position, self.model.head
        left = min(phase.epochs - position.phase_epoch, self.plan.epochs - position.epoch)
        if left <= 0 or self.stop_phase:
            return
        if position.solved and position.epoch == 0 and isinstance(head, LinearHead):
            head.shrink()
        source = self.source.phase(
            phase,
            position.fingerprints or {},
            range(position.epoch + 1, position.epoch + left + 1),
        )
        for _ in range(left):
            self.run_epoch(phase, source)
            if self.stop or self.stop_phase:
                break

    def run_epoch(self, phase: Phase, source: PhaseSource) -> None:
        """Take a step for every batch of the next epoch, validate, and record the result."""
        position, epoch = self.position, self.position.epoch + 1
        missing = source.missing(epoch)
        if missing:
            with self.watch("extract"):
                source.prepare(epoch, self.source.counter(missing))
        # Drop-out draws from here: a function of seed and epoch, so that a resumed run repeats it.
        torch.manual_seed(self.seed * 1_000_003 + epoch)
        apply_phase(self.model, self.plan, phase)
        self.notify("on_epoch_begin", self, epoch)
        totals: dict[str, float] = {}
        loss, images = 0.0, 0
        started = self.watch.spent("train")
        with self.watch("train"), closing(source.epoch(epoch)) as batches:
            for step, batch in enumerate(batches, position.step):
                line = self.train_step(batch, step, epoch, phase, source)
                for name, value in line["losses"].items():
                    totals[name] = totals.get(name, 0.0) + value * len(batch)
                loss += line["loss"] * len(batch)
                images += len(batch)
        seconds = self.watch.spent("train") - started
        position.step += len(self.train_loader)
        position.epoch, position.phase_epoch = epoch, position.phase_epoch + 1
        with self.watch("evaluate"):
            outputs, sample = source.outputs(source.val), source.outputs(source.sample)
        line = {
            "train_loss": loss / images,
            "losses": {name: total / images for name, total in totals.items()},
            "lr": line["lr"],
            "seconds": round(seconds, 3),
            "images_per_second": round(images / seconds, 1),
        }
        if sample is not None:
            line[self._train_key] = self.task.score(sample).value
        self.record(line, outputs, exact=source.exact)

    def train_step(
        self, batch: Batch, step: int, epoch: int, phase: Phase, source: PhaseSource
    ) -> dict[str, Any]:
        """Take one optimizer step; return its line of `steps.jsonl`."""
        optimizer, position = self.steps.optimizer, self.position
        schedule, begins = self.schedule_of(phase)
        since = step - begins * schedule.steps_per_epoch
        factor = partial(schedule.factor, since, position.scores[begins:])
        set_rates(optimizer, phase, self.lr * position.rate_scale, factor)
        total = self.plan.epochs * len(self.train_loader)
        progress = Progress(step, total, epoch, self.seed)
        losses = self.steps.take(batch, progress, source.network)
        line = {
            "step": step + 1,
            "epoch": epoch,
            "loss": sum(losses.values()),
            "losses": losses,
            "lr": rates(optimizer, phase),
        }
        self.notify("on_batch_end", self, line)
        return line

    def record(self, line: dict[str, Any], outputs: Outputs | None, *, exact: bool) -> None:
        """Record an epoch or a solved head: best so far, history, callbacks.

        Args:
            line: What belongs into `metrics.jsonl` besides the validation result.
            outputs: Of the model on the validation images; None without such images.
            exact: Whether they are those of `graft predict`, to the last bit.
        """
        position = self.position
        line = {
            "phase": self.plan.phases[position.phase].name,
            "phase_index": position.phase,
            "epoch": position.epoch,
            "step": position.step,
            **line,
        }
        if outputs is not None:
            line.setdefault(self._train_key, None)
            line |= self._judge(outputs, exact)
        self.notify("on_validation_end", self, line)
        self.history.append(line)
        self.notify("on_epoch_end", self, line)

    def _judge(self, outputs: Outputs, exact: bool) -> dict[str, Any]:
        """Score validation outputs, and keep the weights where `keep` says so."""
        position, score = self.position, self.task.score(outputs)
        if not math.isfinite(score.loss):
            what = f"the validation loss became {score.loss}"
            raise NotFiniteError(what, position.step, position.epoch)
        if position.epoch:
            position.scores.append(-score.loss if score.value is None else score.value)
        result = Result(position.epoch, position.step, score)
        kept = self._supersedes(result)
        if result.beats(position.phase_best):
            position.phase_best, position.stale = result, 0
        else:
            position.stale += 1
        if kept:
            position.best, self.best_outputs = result, outputs if exact else None
            self.best_state = {
                name: tensor.clone() for name, tensor in self.model.state_dict().items()
            }
        key = f"val_{score_key(self.task.metric)}"
        line = {"val_loss": score.loss, key: score.value, "best": kept}
        return line if key == "val_accuracy" else {"metric": self.task.metric, **line}

    def _supersedes(self, result: Result) -> bool:
        """Say whether a result's weights are kept in place of those kept so far."""
        before = self.position.best
        first_tuned = before is not None and before.epoch == 0 and result.epoch > 0
        always = self.keep == "last" or (self.keep == "fine-tuned" and first_tuned)
        return always or result.beats(before)

    @property
    def _train_key(self) -> str:
        return f"train_{score_key(self.task.metric)}"

    def finish(self) -> None:
        """Put the weights that are to be kept into the model, which is then in eval mode."""
        if self.best_state is not None:
            self.model.restore(self.best_state)
        self.model.requires_grad_(True).eval()

    def roll_back(self, error: NotFiniteError) -> None:
        """Go back to the last checkpoint and on from there more slowly.

        Raises:
            DivergedError: There is no checkpoint, or it was of no use before.
        """
        self._retries += 1
        scale = self.position.rate_scale * SLOWDOWN
        if self._retries > RETRIES or not self.checkpoints:
            raise DivergedError(
                f"Training diverged: {error}, after {self._retries - 1} rollbacks.",
                f"Lower --lr (it is {self.lr:g}), or clip gradients with --clip 1.",
            ) from error
        self.restore()
        self.position.rate_scale = scale
        back = f"back to the end of epoch {self.position.epoch}, learning rates x {scale:g}"
        self.notify("on_message", f"{error}: {back}.")

    def restore(self) -> None:
        """Go back to the last checkpoint, if there is one."""
        assert self.checkpoints is not None, "only a run with a folder can be restored"
        position = self.checkpoints.position()
        if position is None:
            return  # killed before its first checkpoint: there is nothing to lose
        self.position = position
        self.steps.use(self.options_of(self.plan.phases[position.phase]))
        self.model.restore(self.checkpoints.model(position.step))
        self.checkpoints.restore_optimizer(position.step, self.steps.optimizer)
        if position.best is not None:
            self.best_state = self.checkpoints.model(position.best.step)
        del self.history[sum(line["step"] <= position.step for line in self.history) :]


def _declared(
    objective: Objective, train: Source, given: Mapping[str, Source]
) -> dict[str, Source]:
    """Return the sources of the streams that an objective declares, but those in `train` itself."""
    needed = [name for name in streams_of(objective) if name not in getattr(train, "streams", ())]
    missing = [name for name in needed if name not in given]
    if missing:
        raise RecipeError(
            f"The objective looks at a stream '{missing[0]}', which is not given.",
            f"Give the trainer streams={{'{missing[0]}': a loader}}.",
        )
    return {name: given[name] for name in needed}
