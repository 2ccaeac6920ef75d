"""Strategies: the user's word for which layers learn, turned into a `Plan`.

Each strategy is one function from options and stage names to phases. To add one, write the
function and name it in `STRATEGIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from graft.errors import BackboneError, RecipeError, nearest
from graft.strategies.plan import HEAD, BatchNormPolicy, Phase, Plan

HeadStart = Literal["solve", "random"]


@dataclass(frozen=True)
class StrategyOptions:
    """What a user may say about a strategy; every field has a default that suits most data.

    Args:
        unfreeze_from: `partial`: the first stage that trains. None means the last one.
        unfreeze_every: `gradual`: epochs between one stage and the next.
        unfreeze_at: `gradual`: numbers of completed epochs after which the next stage down joins,
            instead of `unfreeze_every`.
        unfreeze_on_plateau: `gradual`: epochs without a better validation result after which the
            next stage joins, instead of `unfreeze_every`.
        first: `two-phase`: what the first phase trains, the head or the head and the last stage.
        first_epochs: `two-phase`: epochs of the first phase. None means a third of all, at least
            one.
        second_scale: `two-phase`: the second phase's learning rate over the first's.
        decay: Learning-rate factor from each stage to the one before it. None means 0.85, and 1
            for `two-phase` and `scratch`.
        rates: Explicit learning rates of stages or of `head`, instead of `decay`.
        head_start: `"solve"` begins with a head fitted to convergence on frozen features (LP-FT,
            Kumar et al. 2022, arXiv:2202.10054); `"random"` begins with a random one.
        batch_norm: `"eval"`, `"train"`, or None for the strategy's own: train from scratch, eval
            otherwise.
    """

    unfreeze_from: str | None = None
    unfreeze_every: int = 1
    unfreeze_at: tuple[int, ...] | None = None
    unfreeze_on_plateau: int | None = None
    first: Literal["head", "last-stage"] = "head"
    first_epochs: int | None = None
    second_scale: float = 0.3
    decay: float | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    head_start: HeadStart = "solve"
    batch_norm: BatchNormPolicy | None = None


@dataclass(frozen=True)
class _Maker:
    """What the strategies share: the stages, the rates, and how a phase is named."""

    stages: tuple[str, ...]
    options: StrategyOptions
    epochs: int
    lr: float
    default_decay: float = 0.85

    @property
    def solved(self) -> bool:
        return self.options.head_start == "solve"

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


def _probe(maker: _Maker) -> list[Phase]:
    gradient = [maker.phase(len(maker.stages), maker.epochs)] if maker.epochs else []
    return maker.solve() + gradient


def _partial(maker: _Maker) -> list[Phase]:
    start = maker.options.unfreeze_from or maker.stages[-1]
    return [*maker.solve(), maker.phase(maker.stages.index(start), maker.epochs)]


def _full(maker: _Maker) -> list[Phase]:
    return [*maker.solve(), maker.phase(0, maker.epochs)]


def _scratch(maker: _Maker) -> list[Phase]:
    return [maker.phase(0, maker.epochs)]


def _two_phase(maker: _Maker) -> list[Phase]:
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


def _gradual(maker: _Maker) -> list[Phase]:
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
    """One strategy: its function, what it defaults to, and which options are its own.

    Args:
        make: Turns the shared facts into phases.
        epochs: Default gradient epochs.
        decay: Default learning-rate factor from a stage to the one before it.
        summary: What it does, in words.
        options: The fields of `StrategyOptions` that mean something to this strategy alone.
        lr_scale: Factor on an optimizer's default learning rate; what starts from random weights
            takes larger steps.
    """

    make: Callable[[_Maker], list[Phase]]
    epochs: int
    decay: float
    summary: str
    options: tuple[str, ...] = ()
    lr_scale: float = 1.0


STRATEGIES: Mapping[str, Strategy] = {
    "probe": Strategy(_probe, 0, 0.85, "only the head learns", lr_scale=3.0),
    "partial": Strategy(
        _partial, 5, 0.85, "frozen below a stage, trained above", ("unfreeze_from",)
    ),
    "gradual": Strategy(
        _gradual,
        6,
        0.85,
        "one more stage at a time, from the head down",
        ("unfreeze_every", "unfreeze_at", "unfreeze_on_plateau"),
    ),
    "two-phase": Strategy(
        _two_phase,
        5,
        1.0,
        "the head first, then everything more slowly",
        ("first", "first_epochs", "second_scale"),
    ),
    "full": Strategy(_full, 5, 0.85, "everything, earlier stages more slowly"),
    "scratch": Strategy(
        _scratch, 30, 1.0, "everything, from random weights, as a control", lr_scale=3.0
    ),
}
"""Every strategy by the name that users type."""


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
        strategy: A key of `STRATEGIES`.
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
    if strategy not in STRATEGIES:
        raise RecipeError(
            f"'{strategy}' is not a strategy.", f"Choose one of {nearest(strategy, STRATEGIES)}."
        )
    _refuse_contradictions(strategy, options)
    chosen = STRATEGIES[strategy]
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
    maker = _Maker(tuple(stages), options, epochs, lr, chosen.decay)
    return Plan(
        strategy,
        tuple(stages),
        tuple(chosen.make(maker)),
        epochs,
        options.batch_norm or ("train" if strategy == "scratch" else "eval"),
    )


def _refuse_contradictions(strategy: str, options: StrategyOptions) -> None:
    """Raise a `RecipeError` for options of another strategy, or options that exclude each other."""
    given = {name for name, value in vars(options).items() if value != _DEFAULTS[name]}
    for owner, entry in STRATEGIES.items():
        for name in sorted(given.intersection(entry.options)):
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


_DEFAULTS = vars(StrategyOptions())
