"""How weights move: the optimizer, its learning rate and how that changes, as options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from graft.errors import RecipeError

Epoch = Annotated[int, Field(ge=0)]


class Needs:
    """What an option has an effect with; it stands in the annotation of the option's field.

    Several of them on one field must all be met. See `graft.workflows.effects`.

    Args:
        conditions: One of them is enough: "gradient" (something is trained by gradient),
            "activations" (augmented views go through frozen stages once and are kept),
            "augmentation", "views", or another option with its value, such as "schedule=step".
    """

    def __init__(self, *conditions: str) -> None:
        self.conditions = conditions


GRADIENT = Needs("gradient")

OF_THE_OPTIMIZER = frozenset({"optimizer", "momentum", "nesterov", "weight_decay"})
"""The options that make an optimizer; the rest of `OptimizerOptions` needs no new one."""


class OptimizerOptions(BaseModel):
    """The optimizer, its learning rate, and how that changes.

    Example:
        >>> OptimizerOptions(schedule="warm-restarts", restart_mult=2).restart_every
        5
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    optimizer: Annotated[Literal["sgd", "adam", "adamw"], GRADIENT] = Field(
        "adamw", description="sgd, adam or adamw"
    )
    lr: Annotated[float | None, GRADIENT] = Field(
        None, gt=0, description="learning rate of the head and the last stage"
    )
    momentum: Annotated[float, GRADIENT, Needs("optimizer=sgd")] = Field(
        0.9, ge=0, lt=1, description="sgd: momentum"
    )
    nesterov: Annotated[bool, GRADIENT] = Field(False, description="sgd: Nesterov momentum")
    weight_decay: Annotated[float | None, GRADIENT] = Field(
        None, ge=0, description="on weights, not norms and biases"
    )
    schedule: Annotated[
        Literal["constant", "step", "cosine", "warm-restarts", "one-cycle", "plateau"], GRADIENT
    ] = Field("one-cycle", description="how the learning rate moves over the run")
    warmup: Annotated[float, GRADIENT] = Field(
        0.0, ge=0, description="epochs of linear warm-up before the schedule"
    )
    step_every: Annotated[int, GRADIENT, Needs("schedule=step")] = Field(
        7, ge=1, description="step: epochs between drops"
    )
    step_at: Annotated[tuple[Epoch, ...] | None, GRADIENT, Needs("schedule=step")] = Field(
        None, description="step: epochs done at which the rate drops, such as 10,15"
    )
    step_factor: Annotated[float, GRADIENT, Needs("schedule=step", "schedule=plateau")] = Field(
        0.1, gt=0, lt=1, description="step, plateau: factor of a drop"
    )
    cosine_epochs: Annotated[int | None, GRADIENT, Needs("schedule=cosine")] = Field(
        None, ge=1, description="cosine: epochs down to the lowest rate; the run's if not given"
    )
    restart_every: Annotated[int, GRADIENT, Needs("schedule=warm-restarts")] = Field(
        5, ge=1, description="warm-restarts: epochs of the first cycle"
    )
    restart_mult: Annotated[int, GRADIENT, Needs("schedule=warm-restarts")] = Field(
        1, ge=1, description="warm-restarts: how many times as long each cycle is as the last"
    )
    min_lr: Annotated[
        float,
        GRADIENT,
        Needs("schedule=cosine", "schedule=warm-restarts", "schedule=plateau"),
    ] = Field(0.0, ge=0, description="cosine, warm-restarts, plateau: rate below which none falls")
    patience: Annotated[int, GRADIENT, Needs("schedule=plateau")] = Field(
        2, ge=1, description="plateau: epochs without gain before a drop"
    )
    clip: Annotated[float | None, GRADIENT] = Field(None, gt=0, description="largest gradient norm")
    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="arithmetic")

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> OptimizerOptions:
        if self.nesterov and (self.optimizer != "sgd" or self.momentum == 0):
            raise ValueError("--nesterov needs --optimizer sgd with a momentum above 0")
        return self


def read_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return some of these options, each as its type.

    Raises:
        RecipeError: One is unknown, or no such value.

    Example:
        >>> read_settings({"step_at": [3, 6]})
        {'step_at': (3, 6)}
    """
    try:
        read = OptimizerOptions.model_validate(dict(settings))
    except ValidationError as invalid:
        first = invalid.errors(include_url=False)[0]
        message = first["msg"].removeprefix("Value error, ")
        name = ".".join(map(str, first["loc"]))
        raise RecipeError(
            f"{name}: {message[0].lower()}{message[1:]}.", "`graft fit --help` lists the options."
        ) from None
    return {name: getattr(read, name) for name in settings}
