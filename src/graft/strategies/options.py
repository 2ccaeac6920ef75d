"""What a user may say about strategies, each option beside the strategy that it belongs to."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_serializer,
    model_validator,
)

from graft.aliases import OPTIMIZERS, SCHEDULES
from graft.calls import MOST_CHARACTERS, parse_call, translate
from graft.errors import RecipeError
from graft.strategies.optimization import GRADIENT, Epoch, read_settings
from graft.strategies.plan import HEAD, BatchNormPolicy

Rate = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]
EVERYTHING = "all"
"""Stands for the head and every stage where the stages of a phase are named."""


class NoOptions(BaseModel):
    """Of a strategy that has none of its own."""


class PartialOptions(BaseModel):
    """The options of `partial`."""

    unfreeze_from: str | None = Field(
        None, description="partial: first stage that trains; the last one if not given"
    )


class GradualOptions(BaseModel):
    """The options of `gradual`, of which one is given."""

    unfreeze_every: int = Field(1, ge=1, description="gradual: epochs between stages")
    unfreeze_at: tuple[Epoch, ...] | None = Field(
        None, description="gradual: completed epochs after which a stage joins, such as 1,3,5"
    )
    unfreeze_on_plateau: int | None = Field(
        None, ge=1, description="gradual: epochs without gain after which a stage joins"
    )
    unfreeze_scale: float = Field(
        1.0,
        gt=0,
        le=1,
        description="gradual: factor on all learning rates each time a stage joins",
    )


class TwoPhaseOptions(BaseModel):
    """The options of `two-phase`."""

    first: Literal["head", "last-stage"] = Field(
        "head", description="two-phase: what the first phase trains"
    )
    first_epochs: int | None = Field(
        None, ge=0, description="two-phase: epochs of the first phase; a third if not given"
    )
    second_scale: float = Field(
        0.3, gt=0, le=1, description="two-phase: second learning rate over the first"
    )


class PhaseOptions(BaseModel):
    """One phase of `--phases`: what trains, for how long, and how.

    Args:
        stages: "head", stages and modules of the network, or "all"; in text joined by "+".
        epochs: Gradient epochs, or "solve" for a head that is solved, which comes first.
        lr: Learning rate of everything that trains; the run's if not given.
        rates: Learning rates of single stages.
        decay: Factor from a stage to the one before it.
        optimizer: Such as "sgd" or "SGD(momentum=0.9)"; the run's if not given. Another one than
            that of the phase before begins afresh, and needs a rate of its own.
        schedule: Such as "cosine" or "StepLR(step_size=7)", over this phase alone; without one the
            phase has its part of the run's.
        patience: Epochs without gain after which the phase ends.

    Example:
        >>> phase = PhaseOptions(stages="head+layer4", epochs=3, optimizer="Adam(lr=1e-3)")
        >>> phase.stages, phase.rate, phase.settings
        (('head', 'layer4'), 0.001, {'optimizer': 'adam', 'weight_decay': 0.0})
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    stages: Annotated[
        tuple[str, ...], Field(min_length=1), BeforeValidator(lambda given: _names(given))
    ]
    epochs: Annotated[int, Field(ge=1, le=100_000)] | Literal["solve"]
    lr: Rate | None = None
    rates: Annotated[dict[str, Rate], BeforeValidator(lambda given: _rates(given))] = Field(
        default_factory=dict
    )
    decay: Share | None = None
    optimizer: str | None = None
    schedule: str | None = None
    patience: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _possible(self) -> PhaseOptions:
        if self.epochs == "solve" and (self.stages != (HEAD,) or len(self.model_dump()) > 2):
            raise ValueError("only the head is solved, with nothing else to say: head:solve")
        if HEAD not in self.stages and EVERYTHING not in self.stages:
            raise ValueError(f"the head learns in every phase: write head+{self.stages[0]}")
        if "optimizer" in self.settings and self.rate is None and HEAD not in self.rates:
            raise ValueError("a phase with an optimizer of its own needs its lr as well")
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """The options of `OptimizerOptions`, its rate apart, in which the phase differs."""
        return {name: value for name, value in self._said().items() if name != "lr"}

    @property
    def rate(self) -> float | None:
        """The learning rate, wherever it was given."""
        return self.lr if self.lr is not None else self._said().get("lr")

    def _said(self) -> dict[str, Any]:
        said: dict[str, Any] = {}
        for name, words in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            text = getattr(self, name)
            if text is None:
                continue
            call = translate(parse_call(text), words)
            if call is None:
                raise ValueError(f"there is no {name} {text[:80]!r}")
            said |= {name: call.name, **call.defaults, **call.given}
        try:
            return read_settings(said)
        except RecipeError as error:
            raise ValueError(error.problem.rstrip(".")) from None

    @model_serializer
    def _only_what_was_said(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in values.items() if value not in (None, {})}


_PHASE = re.compile(
    r"\s*([^:]+?)\s*:\s*(\w+)((?:\s+\w+=(?:\((?:[^()]|\([^()]*\))*\)|[^\s()])+)*)\s*"
)
_SAID = re.compile(r"(\w+)=((?:\((?:[^()]|\([^()]*\))*\)|[^\s()])+)")


def read_phases(given: Any) -> Any:
    """Read phases written in a line; leave lists of mappings as they are.

    Raises:
        ValueError: It is no such line.

    Example:
        >>> read_phases("head:3 lr=1e-3 / all:2")
        [{'stages': 'head', 'epochs': '3', 'lr': '1e-3'}, {'stages': 'all', 'epochs': '2'}]
    """
    if not isinstance(given, str):
        return given
    if len(given) > MOST_CHARACTERS:
        raise ValueError(f"phases in a line have at most {MOST_CHARACTERS} characters")
    phases = []
    for part in given.split("/"):
        match = _PHASE.fullmatch(part)
        if match is None:
            raise ValueError(
                f"{part.strip()[:80]!r} is no phase; write phases as in "
                '"head:3 / head+layer4:3 lr=1e-4 / all:3 schedule=cosine"'
            )
        stages, epochs, rest = match.groups()
        phases.append({"stages": stages, "epochs": epochs, **dict(_SAID.findall(rest))})
    return phases


def _names(given: Any) -> Any:
    return [name.strip() for name in given.split("+")] if isinstance(given, str) else given


def _rates(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    return dict(pair.partition("=")[::2] for pair in given.split(","))


class PhasesOptions(BaseModel):
    """The options of `phases`."""

    phases: Annotated[tuple[PhaseOptions, ...], BeforeValidator(read_phases)] | None = Field(
        None, description='phases: what trains when, such as "head:3 / head+layer4:3 / all:3"'
    )


class StrategyOptions(PartialOptions, GradualOptions, TwoPhaseOptions, PhasesOptions):
    """What a user may say about a strategy; every field has a default that suits most data.

    `graft fit --help` describes the fields. A head that is solved first is LP-FT (Kumar et al.
    2022, arXiv:2202.10054). `options` are those of a strategy from another package.

    Example:
        >>> StrategyOptions(unfreeze_at=(1, 3)).unfreeze_every
        1
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    decay: Annotated[float | None, GRADIENT] = Field(
        None,
        gt=0,
        le=1,
        description="learning-rate factor from a stage to the one before it; 0.85 if not given, 1 "
        "for two-phase, phases and scratch",
    )
    rates: Annotated[dict[str, Rate], GRADIENT] = Field(
        default_factory=dict,
        description="explicit learning rates, such as layer4=1e-4,head=1e-3; every other stage "
        "takes that of the stage above it times --decay",
    )
    head_start: Literal["solve", "random"] | None = Field(
        None,
        description="begin with a head solved on frozen features, or a random one; "
        "solve if the head is linear and no phases are given",
    )
    batch_norm: Annotated[BatchNormPolicy | None, GRADIENT] = Field(
        None,
        description="BatchNorm statistics of trained stages: kept (eval) or moving (train); train "
        "from scratch, eval otherwise, if not given",
    )
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="of a strategy from another package: --set strategy.options.NAME=VALUE",
    )
