"""Checkpoints that are whole or absent: staged beside their place, fsynced, renamed.

`checkpoints/step-N/` holds `model.safetensors`, `optimizer.safetensors`, `state.json` and, written
last, `COMPLETE`. Whatever kills the process, the newest complete one can be loaded.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import Optimizer

from graft.errors import DataError
from graft.files import remove, sync_folder, temporary_for, wrap_os_errors
from graft.structured import canonical, parse_json, read_text
from graft.tasks import Score

COMPLETE = "COMPLETE"
Count = Annotated[int, Field(ge=0, le=1 << 48)]


@dataclass(frozen=True)
class Result:
    """The validation result of one epoch.

    Args:
        epoch: From 1; 0 is the solved head.
        step: Optimizer steps done.
        score: The task's score on the validation images.
    """

    epoch: Count
    step: Count
    score: Score

    def beats(self, other: Result | None) -> bool:
        """Say whether this is the better one."""
        return self.score.beats(other.score if other else None)


@dataclass
class Position:
    """Where a run is: everything besides tensors that the next epoch depends on.

    Args:
        step: Optimizer steps done.
        epoch: Gradient epochs done.
        phase: Index of the current phase of the plan.
        phase_epoch: Epochs done in it.
        phase_best: The best result of it.
        stale: Epochs since then.
        rate_scale: Factor on every learning rate, lowered after a loss that was not finite.
        best: The result of the weights that are kept so far, over all phases.
        solved: Whether the plan's solved head is in place.
        probe: How it was found; see `graft.tasks.classification.describe`.
        scores: Validation score of each gradient epoch, which the plateau schedule replays.
        fingerprints: What the frozen stages hashed to when the current phase began.
        audits: Results of the freeze audits of the phases before.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")  # for whoever reads `state.json`

    step: Count = 0
    epoch: Count = 0
    phase: Count = 0
    phase_epoch: Count = 0
    phase_best: Result | None = None
    stale: Count = 0
    rate_scale: float = 1.0
    best: Result | None = None
    solved: bool = False
    probe: dict[str, Any] | None = None
    scores: list[float] = field(default_factory=list)
    fingerprints: dict[str, str] | None = None
    audits: list[dict[str, object]] = field(default_factory=list)


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: `RUN/checkpoints`; made when the first one is saved.
    """

    folder: Path

    def save(self, position: Position, model: Mapping[str, Tensor], optimizer: Optimizer) -> Path:
        """Write `step-N`, then drop all others but the best.

        Raises:
            ResourceError: The disk is full; the checkpoints before stay as they are.
        """
        target = self.folder / f"step-{position.step}"
        staged = temporary_for(target)
        with wrap_os_errors(target):
            self.folder.mkdir(parents=True, exist_ok=True)
            staged.mkdir()
            try:
                save_file(_contiguous(model), staged / "model.safetensors")
                save_file(_contiguous(_flat(optimizer)), staged / "optimizer.safetensors")
                (staged / "state.json").write_text(json.dumps(asdict(position), indent=2) + "\n")
                (staged / COMPLETE).touch()
                for file in staged.iterdir():
                    with file.open("rb") as opened:
                        os.fsync(opened.fileno())
                sync_folder(staged)
                shutil.rmtree(target, ignore_errors=True)
                staged.rename(target)
                sync_folder(self.folder)
            except BaseException:
                shutil.rmtree(staged, ignore_errors=True)
                raise
        self._drop_all_but(position)
        return target

    def recover(self) -> Position | None:
        """Remove what a killed process left half written or had not dropped yet.

        Only for whoever holds the run.

        Returns:
            What `position` does.
        """
        position = self.position()
        if self.folder.is_dir():
            self._drop_all_but(position)
        return position

    def _drop_all_but(self, position: Position | None) -> None:
        steps = [position.step] if position else []
        if position and position.best:
            steps.append(position.best.step)
        kept = {f"step-{step}" for step in steps}
        for other in self.folder.iterdir():
            if other.name not in kept:
                remove(other)

    def complete(self) -> list[Path]:
        """Return the complete checkpoints, oldest first."""
        found = (path for path in self.folder.glob("step-*") if (path / COMPLETE).is_file())
        return sorted(found, key=lambda path: int(path.name.removeprefix("step-")))

    def position(self) -> Position | None:
        """Return where the newest complete checkpoint stands; None where there is none."""
        found = self.complete()
        if not found:
            return None
        try:
            state = parse_json(read_text(found[-1] / "state.json"))
            return TypeAdapter(Position).validate_json(canonical(state), strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "state.json"
            raise _damaged(found[-1], f"{place[:80]}: {first['msg'][:200].lower()}") from error
        except (OSError, ValueError) as error:
            raise _damaged(found[-1], error) from error

    def model(self, step: int) -> dict[str, Tensor]:
        """Return the classifier's tensors at a step."""
        return self._tensors(step, "model")

    def restore_optimizer(self, step: int, optimizer: Optimizer) -> None:
        """Put the optimizer's state at a step back into it."""
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in self._tensors(step, "optimizer").items():
            index, _, key = name.partition(".")
            state.setdefault(int(index), {})[key] = tensor
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})

    def _tensors(self, step: int, kind: str) -> dict[str, Tensor]:
        folder = self.folder / f"step-{step}"
        try:
            return load_file(folder / f"{kind}.safetensors")
        except Exception as error:  # safetensors raises its own, untyped error for a damaged file
            raise _damaged(folder, error) from error


def _flat(optimizer: Optimizer) -> dict[str, Tensor]:
    state: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    return {
        f"{index}.{key}": value
        for index, values in state.items()
        for key, value in values.items()
        if isinstance(value, Tensor)
    }


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _damaged(folder: Path, error: Exception | str) -> DataError:
    return DataError(
        f"The checkpoint '{folder}' is damaged: {error}.",
        "Delete that folder to resume from an older one, or start the run again.",
    )
