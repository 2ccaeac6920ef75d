"""Strategies: the user's word for which layers learn, turned into a `Plan`.

Each strategy is a function from options and stage names to phases, with its own options beside it.
It is found by name among the entry points of the group "graft.strategies"; see `graft.plugins`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from graft.errors import BackboneError, RecipeError
from graft.plugins import STRATEGIES
from graft.strategies.options import (
    EVERYTHING,
    GradualOptions,
    NoOptions,
    PartialOptions,
    PhaseOptions,
    PhasesOptions,
    StrategyOptions,
    TwoPhaseOptions,
)
from graft.strategies.plan import HEAD, BatchNormPolicy, Phase, Plan


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

    def multipliers(
        self, lr: float, named: Mapping[str, float], decay: float | None
    ) -> dict[str, float]:
        """Return the learning rate of the head and every stage over the run's.

        A stage that is not named takes `decay` times that of the stage above it; the last one `lr`,
        or the head's if that is less.

        Args:
            lr: Of the head, unless it is named.
            named: Those that were given.
            decay: Factor from a stage to the one before it; None takes the usual one.
        """
        if decay is None:
            decay = self.default_decay if self.options.decay is None else self.options.decay
        given = {name: rate / self.lr for name, rate in named.items()}
        multipliers = {HEAD: given.get(HEAD, lr / self.lr)}
        usual = min(lr / self.lr, multipliers[HEAD])
        for name in reversed(self.stages):
            multipliers[name] = given.get(name, usual)
            usual = multipliers[name] * decay
        return multipliers

    def phase(
        self,
        lowest: int,
        epochs: int,
        *,
        scale: float = 1.0,
        patience: int | None = None,
    ) -> Phase:
        """Return a phase in which the head and every stage from index `lowest` up trains."""
        trained = (*self.stages[lowest:], HEAD)
        multipliers = self.multipliers(self.lr, self.options.rates, None)
        return Phase(
            _phase_name(self.stages, trained),
            "gradient",
            epochs,
            {name: scale * multipliers[name] for name in trained},
            patience,
        )

    def phase_as_said(self, said: PhaseOptions) -> Phase:
        """Return one of `options.phases`."""
        if said.epochs == "solve":
            return Phase(HEAD, "solve", 0, {HEAD: 1.0})
        named = said.rates if said.rate else {**self.options.rates, **said.rates}
        multipliers = self.multipliers(said.rate or self.lr, named, said.decay)
        trained = tuple(
            name
            for name in (*self.stages, HEAD)
            if name in said.stages or EVERYTHING in said.stages
        )
        return Phase(
            _phase_name(self.stages, trained),
            "gradient",
            said.epochs,
            {name: multipliers[name] for name in trained},
            said.patience,
            said.settings,
        )

    def solve(self) -> list[Phase]:
        """Return the solved head as a first phase, where the options ask for one."""
        return [Phase(HEAD, "solve", 0, {HEAD: 1.0})] if self.solved else []


def _phase_name(stages: tuple[str, ...], trained: tuple[str, ...]) -> str:
    """Return what a person calls a phase in which the head and these stages learn."""
    lower = [name for name in trained if name != HEAD]
    if len(lower) == len(stages):
        return "everything"
    if len(lower) > 1 and lower == list(stages[stages.index(lower[0]) :][: len(lower)]):
        lower = [f"{lower[0]} … {lower[-1]}"]
    return " + ".join([HEAD, *lower])


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
    scale = options.unfreeze_scale
    if options.unfreeze_on_plateau is not None:
        patience = [options.unfreeze_on_plateau] * lowest + [None]
        return maker.solve() + [
            maker.phase(lowest - index, maker.epochs, scale=scale**index, patience=patience[index])
            for index in range(lowest + 1)
        ]
    if options.unfreeze_at is not None:
        starts = [0, *options.unfreeze_at]
    else:
        starts = list(range(0, maker.epochs, options.unfreeze_every))
    starts = [start for start in starts if start < maker.epochs][: lowest + 1]
    ends = [*starts[1:], maker.epochs]
    return maker.solve() + [
        maker.phase(lowest - index, end - start, scale=scale**index)
        for index, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]


def _phases(maker: Maker) -> list[Phase]:
    said = maker.options.phases or ()
    phases = [maker.phase_as_said(each) for each in said]
    if any(phase.method == "solve" for phase in phases[1:]):
        raise RecipeError(
            "A head is solved in the first phase or not at all.",
            "Write head:solve first, or give the head epochs instead.",
        )
    if maker.options.head_start == "solve" and phases[0].method != "solve":
        phases = [*maker.solve(), *phases]
    return phases


HEAD_RATES = {"sgd": (1e-3, 1e-1), "adam": (1e-4, 1e-2)}
FINE_TUNING_RATES = {"sgd": (1e-4, 1e-2), "adam": (1e-6, 1e-3)}
SCRATCH_RATES = {"sgd": (1e-3, 0.5), "adam": (1e-4, 1e-2)}
"""The usual learning rates by optimizer (AdamW's are Adam's): of a new head, of pre-trained stages,
and of random weights."""


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
        usual_rates: Lowest and highest usual learning rate of the fastest stage, by optimizer.
    """

    make: Callable[[Maker], list[Phase]]
    epochs: int
    decay: float
    summary: str
    options: type[BaseModel] = NoOptions
    lr_scale: float = 1.0
    batch_norm: BatchNormPolicy = "eval"
    usual_rates: Mapping[str, tuple[float, float]] = field(
        default_factory=lambda: FINE_TUNING_RATES
    )


PROBE = Strategy(_probe, 0, 0.85, "only the head learns", lr_scale=3.0, usual_rates=HEAD_RATES)
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
    usual_rates=SCRATCH_RATES,
)
PHASES = Strategy(_phases, 0, 1.0, "the phases that are given", PhasesOptions)


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
    for name in stages_named(options):
        if name not in (*stages, HEAD):
            raise BackboneError(
                f"'{name}' is not a stage of this backbone.",
                f"Its stages are {', '.join(stages)}.",
            )
    if strategy == "phases":
        epochs = _epochs_of(options, epochs)
    if epochs is None:
        random_probe = strategy == "probe" and options.head_start == "random"
        epochs = 10 if random_probe else chosen.epochs
    solved = strategy == "probe" and options.head_start != "random"
    if epochs < 1 and not (solved or options.phases):
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


def stages_named(options: StrategyOptions) -> set[str]:
    """Return everything that the options take for a stage, "head" among it."""
    phases = options.phases or ()
    names = {*options.rates, *filter(None, [options.unfreeze_from])}
    return names.union(*({*each.stages, *each.rates} for each in phases)) - {EVERYTHING}


def unusual_rates(plan: Plan, lr: float, optimizer: str) -> list[str]:
    """Say which learning rates of a plan lie outside the usual range, and what that is.

    Args:
        plan: What trains.
        lr: The learning rate of a multiplier of 1.
        optimizer: The run's.

    Example:
        >>> unusual_rates(make_plan("full", ["stem", "stage1"]), 0.5, "sgd")[0]
        'The learning rate of everything, 0.5, is above the usual 0.0001 to 0.01 of sgd there.'
    """
    usual = STRATEGIES.get(plan.strategy, FULL)
    warnings = []
    for phase in plan.phases:
        if phase.method != "gradient":
            continue
        named = str(phase.settings.get("optimizer", optimizer))
        rates = {name: lr * multiplier for name, multiplier in phase.multipliers.items()}
        head = rates.pop(HEAD, 0.0)
        ranges = usual.usual_rates if rates else HEAD_RATES
        rate = max(rates.values(), default=head)
        low, high = ranges.get(named, ranges["adam"])
        if not low * 0.999 <= rate <= high * 1.001:
            side = "above" if rate > high else "below"
            warnings.append(
                f"The learning rate of {phase.name}, {rate:g}, is {side} the usual {low:g} to "
                f"{high:g} of {named} there."
            )
    return warnings[:1]


def _epochs_of(options: StrategyOptions, epochs: int | None) -> int:
    """Return how many epochs the phases last together."""
    if not options.phases:
        raise RecipeError(
            "The strategy 'phases' needs phases.",
            'Write for instance --phases "head:3 / head+layer4:3 / all:3".',
        )
    total = sum(each.epochs for each in options.phases if each.epochs != "solve")
    if epochs not in (None, total):
        raise RecipeError(
            f"The phases last {total} epochs together, and --epochs is {epochs}.",
            "Leave out --epochs, or change the phases.",
        )
    return total


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
    together = sorted(given & {"unfreeze_every", "unfreeze_at", "unfreeze_on_plateau"})
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
