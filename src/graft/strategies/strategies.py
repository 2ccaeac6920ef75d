"""Strategies: the user's word for which layers learn, turned into a `Plan`.

Each strategy is a function from options and stage names to phases, with its own options beside it.
It is found by name among the entry points of the group "graft.strategies"; see `graft.plugins`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from graft.errors import BackboneError, RecipeError
from graft.plugins import STRATEGIES
from graft.strategies.plan import HEAD, BatchNormPolicy, Phase, Plan

Rate = Annotated[float, Field(gt=0)]
Epoch = Annotated[int, Field(ge=0)]


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


class StrategyOptions(PartialOptions, GradualOptions, TwoPhaseOptions):
    """What a user may say about a strategy; every field has a default that suits most data.

    `graft fit --help` describes the fields. A head that is solved first is LP-FT (Kumar et al.
    2022, arXiv:2202.10054). `options` are those of a strategy from another package.

    Example:
        >>> StrategyOptions(unfreeze_at=(1, 3)).unfreeze_every
        1
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    decay: float | None = Field(
        None,
        gt=0,
        le=1,
        description="learning-rate factor from a stage to the one before it; 0.85 if not given, 1 "
        "for two-phase and scratch",
    )
    rates: dict[str, Rate] = Field(
        default_factory=dict, description="explicit learning rates, such as stem=1e-5,head=1e-3"
    )
    head_start: Literal["solve", "random"] | None = Field(
        None,
        description="begin with a head solved on frozen features, or a random one; "
        "solve if the head is linear",
    )
    batch_norm: BatchNormPolicy | None = Field(
        None,
        description="BatchNorm statistics of trained stages: kept (eval) or moving (train); train "
        "from scratch, eval otherwise, if not given",
    )
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="of a strategy from another package: --set strategy.options.NAME=VALUE",
    )


@dataclass(frozen=True)
class Maker:
    """What a strategy makes its phases from.

    Args:
        stages: The backbone's stage names in execution order.
        options: What the user said.
        epochs: Gradient epochs of the whole run.
        lr: The learning rate of a multiplier of 1.
        default_decay: Learning-rate factor from a stage to the one before it.
        own: The options of a strategy from another package, as its schema reads them.
    """

    stages: tuple[str, ...]
    options: StrategyOptions
    epochs: int
    lr: float
    default_decay: float = 0.85
    own: Any = None

    @property
    def solved(self) -> bool:
        """Whether the run begins with a solved head."""
        return self.options.head_start != "random"

    def phase(
        self, lowest: int, epochs: int, *, scale: float = 1.0, patience: int | None = None
    ) -> Phase:
        """Return a phase in which the head and every stage from index `lowest` up trains."""
        decay = self.default_decay if self.options.decay is None else self.options.decay
        last = len(self.stages) - 1
        multipliers = {
            name: scale * decay ** (last - index)
            for index, name in enumerate(self.stages)
            if index >= lowest
        }
        multipliers[HEAD] = scale
        for name, rate in self.options.rates.items():
            if name in multipliers:
                multipliers[name] = scale * rate / self.lr
        trained = self.stages[lowest:]
        name = (
            HEAD
            if not trained
            else f"head + {trained[0]}"
            if len(trained) == 1
            else "everything"
            if lowest == 0
            else f"head + {trained[0]} … {trained[-1]}"
        )
        return Phase(name, "gradient", epochs, multipliers, patience)

    def solve(self) -> list[Phase]:
        """Return the solved head as a first phase, where the options ask for one."""
        return [Phase(HEAD, "solve", 0, {HEAD: 1.0})] if self.solved else []


def _probe(maker: Maker) -> list[Phase]:
    gradient = [maker.phase(len(maker.stages), maker.epochs)] if maker.epochs else []
    return maker.solve() + gradient


def _partial(maker: Maker) -> list[Phase]:
    start = maker.options.unfreeze_from or maker.stages[-1]
    return [*maker.solve(), maker.phase(maker.stages.index(start), maker.epochs)]


def _full(maker: Maker) -> list[Phase]:
    return [*maker.solve(), maker.phase(0, maker.epochs)]


def _scratch(maker: Maker) -> list[Phase]:
    return [maker.phase(0, maker.epochs)]


def _two_phase(maker: Maker) -> list[Phase]:
    options, phases = maker.options, maker.solve()
    first = options.first_epochs
    if options.first == "head" and maker.solved and first is None:
        first = 0
    elif first is None:
        first = max(1, maker.epochs // 3)
    if first >= maker.epochs:
        raise RecipeError(
            f"two-phase cannot spend {first} of its {maker.epochs} epochs on the first phase.",
            "Raise --epochs or lower --first-epochs.",
        )
    if first:
        lowest = len(maker.stages) - (1 if options.first == "last-stage" else 0)
        phases.append(maker.phase(lowest, first))
    phases.append(maker.phase(0, maker.epochs - first, scale=options.second_scale))
    return phases


def _gradual(maker: Maker) -> list[Phase]:
    """One more stage at a time, from the head down."""
    options, count = maker.options, len(maker.stages)
    lowest = count - 1 if maker.solved and not options.unfreeze_at else count
    if options.unfreeze_on_plateau is not None:
        gradient = [
            maker.phase(index, maker.epochs, patience=options.unfreeze_on_plateau)
            for index in range(lowest, 0, -1)
        ]
        return [*maker.solve(), *gradient, maker.phase(0, maker.epochs)]
    if options.unfreeze_at is not None:
        starts = [0, *options.unfreeze_at]
    else:
        starts = list(range(0, maker.epochs, options.unfreeze_every))
    starts = [start for start in starts if start < maker.epochs][: lowest + 1]
    ends = [*starts[1:], maker.epochs]
    return maker.solve() + [
        maker.phase(lowest - index, end - start)
        for index, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]


@dataclass(frozen=True)
class Strategy:
    """One strategy: its function, what it defaults to, and its own options.

    Args:
        make: Turns the shared facts into phases.
        epochs: Default gradient epochs.
        decay: Default learning-rate factor from a stage to the one before it.
        summary: What it does, in a few words.
        options: The options that mean something to this strategy alone. Those of a strategy from
            another package are given as `strategy.options.NAME` and are `maker.own`.
        lr_scale: Factor on an optimizer's default learning rate; what starts from random weights
            takes larger steps.
        batch_norm: What happens to the BatchNorm statistics of trained stages, unless said.
    """

    make: Callable[[Maker], list[Phase]]
    epochs: int
    decay: float
    summary: str
    options: type[BaseModel] = NoOptions
    lr_scale: float = 1.0
    batch_norm: BatchNormPolicy = "eval"


PROBE = Strategy(_probe, 0, 0.85, "only the head learns", lr_scale=3.0)
PARTIAL = Strategy(_partial, 5, 0.85, "frozen below a stage, trained above", PartialOptions)
GRADUAL = Strategy(
    _gradual, 6, 0.85, "one more stage at a time, from the head down", GradualOptions
)
TWO_PHASE = Strategy(
    _two_phase, 5, 1.0, "the head first, then everything more slowly", TwoPhaseOptions
)
FULL = Strategy(_full, 5, 0.85, "everything, earlier stages more slowly")
SCRATCH = Strategy(
    _scratch,
    30,
    1.0,
    "everything, from random weights, as a control",
    lr_scale=3.0,
    batch_norm="train",
)


def make_plan(
    strategy: str,
    stages: Sequence[str],
    *,
    epochs: int | None = None,
    lr: float = 3e-4,
    options: StrategyOptions | None = None,
) -> Plan:
    """Turn a strategy into a plan for a backbone with these stages.

    Args:
        strategy: Its name.
        stages: The backbone's stage names in execution order.
        epochs: Gradient epochs of the whole run; None means the strategy's default. A probe with a
            solved head needs none.
        lr: The learning rate of a multiplier of 1, against which explicit `rates` are measured.
        options: What else the user said.

    Raises:
        RecipeError: The strategy is unknown, or options contradict it or one another.
        BackboneError: An option names a stage that the backbone does not have.

    Example:
        >>> plan = make_plan("gradual", ["stem", "stage1", "stage2"], epochs=3)
        >>> [phase.name for phase in plan.phases]
        ['head', 'head + stage2', 'head + stage1 … stage2', 'everything']
    """
    options = options or StrategyOptions()
    chosen: Strategy = STRATEGIES.find(strategy)
    _refuse_contradictions(strategy, options)
    own = _own(strategy, chosen, options.options)
    for name in [*options.rates, *filter(None, [options.unfreeze_from])]:
        if name not in stages and not (name == HEAD and name in options.rates):
            raise BackboneError(
                f"'{name}' is not a stage of this backbone.",
                f"Its stages are {', '.join(stages)}.",
            )
    if epochs is None:
        random_probe = strategy == "probe" and options.head_start == "random"
        epochs = 10 if random_probe else chosen.epochs
    if epochs < 1 and (strategy != "probe" or options.head_start == "random"):
        raise RecipeError(
            f"{strategy} cannot train for {epochs} epochs.", "Give --epochs 1 or more."
        )
    maker = Maker(tuple(stages), options, epochs, lr, chosen.decay, own)
    return Plan(
        strategy,
        tuple(stages),
        tuple(chosen.make(maker)),
        epochs,
        options.batch_norm or chosen.batch_norm,
    )


def _refuse_contradictions(strategy: str, options: StrategyOptions) -> None:
    """Raise a `RecipeError` for options of another strategy, or options that exclude each other."""
    defaults = StrategyOptions()
    given = {
        name for name, value in options if value != getattr(defaults, name) and name != "options"
    }
    for owner in STRATEGIES.shipped:
        for name in sorted(given.intersection(STRATEGIES[owner].options.model_fields)):
            if owner != strategy:
                raise RecipeError(
                    f"--{name.replace('_', '-')} belongs to the strategy '{owner}', "
                    f"but the strategy is '{strategy}'.",
                    f"Drop it, or use --strategy {owner}.",
                )
    for group in (("unfreeze_every", "unfreeze_at", "unfreeze_on_plateau"), ("decay", "rates")):
        together = sorted(given.intersection(group))
        if len(together) > 1:
            raise RecipeError(
                " and ".join(f"--{name.replace('_', '-')}" for name in together)
                + " say the same thing in two ways.",
                "Give one of them.",
            )
    if options.unfreeze_at is not None and list(options.unfreeze_at) != sorted(
        {epoch for epoch in options.unfreeze_at if epoch > 0}
    ):
        raise RecipeError(
            f"--unfreeze-at {','.join(map(str, options.unfreeze_at))} is not a rising list of "
            "epochs from 1.",
            "Write for instance --unfreeze-at 1,3,5.",
        )


def _own(strategy: str, chosen: Strategy, given: Mapping[str, Any]) -> Any:
    """Return the options of a strategy from another package, as its schema reads them."""
    schema = NoOptions if strategy in STRATEGIES.shipped else chosen.options
    for name in given:
        if name not in schema.model_fields:
            raise RecipeError(
                f"The strategy '{strategy}' has no option '{name}' of its own.",
                f"It has {', '.join(schema.model_fields) or 'none'}.",
            )
    try:
        return schema.model_validate(dict(given))
    except ValidationError as invalid:
        first = invalid.errors(include_url=False)[0]
        raise RecipeError(
            f"strategy.options.{'.'.join(map(str, first['loc']))}: {first['msg']}.",
            "Correct the value.",
        ) from None
