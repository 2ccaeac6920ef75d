"""Options that were given and have no effect under the chosen plan: said, rather than ignored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graft.config import Recipe, options, paths
from graft.strategies import Plan
from graft.strategies.optimization import Needs


def _by_gradient(recipe: Recipe, plan: Plan) -> bool:
    return any(phase.method == "gradient" for phase in plan.phases)


def _keeps_activations(recipe: Recipe, plan: Plan) -> bool:
    return any(
        phase.method == "solve" or plan.cut(phase) != plan.stages[0] for phase in plan.phases
    )


CONDITIONS: Mapping[str, tuple[Callable[[Recipe, Plan], bool], str, str]] = {
    "gradient": (
        _by_gradient,
        "the head is solved, and nothing is trained by gradient",
        "--epochs 1 or more, or --strategy partial, gradual, two-phase or full",
    ),
    "augmentation": (
        lambda recipe, plan: recipe.data.augment != "none",
        "nothing is augmented",
        "--augment basic or strong",
    ),
    "activations": (
        _keeps_activations,
        "no stage is frozen, so every epoch has its own views",
        "--strategy probe, partial, gradual or two-phase",
    ),
    "views": (
        lambda recipe, plan: recipe.training.views is not None,
        "a solved head sees each image as it is",
        "--views N",
    ),
}
"""Whether a condition of `Needs` is met; what is the case where it is not; what meets it."""


def without_effect(recipe: Recipe, plan: Plan) -> list[str]:
    """Name the options that were given although they change nothing, and what they go with.

    Args:
        recipe: Its `model_fields_set` say what was given.
        plan: What it became.

    Returns:
        A sentence for each reason.

    Example:
        >>> from graft.config import resolve
        >>> from graft.strategies import make_plan
        >>> recipe = resolve({"lr": 0.1, "strategy": "probe"})
        >>> without_effect(recipe, make_plan("probe", ["stem"]))[0].split(":")[0]
        '--lr has no effect'
    """
    values = {f"{flag}={_value(recipe, path)}" for flag, path, _ in options()}
    for phase in recipe.strategy.phases or ():
        values |= {f"{name}={value}" for name, value in phase.settings.items()}

    def met(condition: str) -> bool:
        known = CONDITIONS.get(condition)
        return known[0](recipe, plan) if known else condition in values

    reasons: dict[tuple[str, str], list[str]] = defaultdict(list)
    for flag, path, field in options():
        section, _, leaf = path.rpartition(".")
        if leaf not in _value(recipe, section).model_fields_set:
            continue
        needed = [each.conditions for each in field.metadata if isinstance(each, Needs)]
        unmet = [conditions for conditions in needed if not any(map(met, conditions))]
        if unmet:
            reasons[_words(unmet[0], recipe)].append(f"--{flag.replace('_', '-')}")
    return [
        f"{', '.join(flags[:-1])} and {flags[-1]} have no effect: {reason}. They take effect with "
        f"{remedy}."
        if len(flags) > 1
        else f"{flags[0]} has no effect: {reason}. It takes effect with {remedy}."
        for (reason, remedy), flags in reasons.items()
    ]


def _words(conditions: Sequence[str], recipe: Recipe) -> tuple[str, str]:
    """Return why no condition is met, and what an option takes effect with."""
    known = [CONDITIONS[condition] for condition in conditions if condition in CONDITIONS]
    if known:
        return known[0][1], ", or ".join(remedy for _, _, remedy in known)
    option = conditions[0].partition("=")[0]
    found = _value(recipe, paths()[option])
    remedies = " or ".join(condition.partition("=")[2] for condition in conditions)
    return f"--{option} is {found}", f"--{option} {remedies}"


def _value(recipe: Recipe, path: str) -> Any:
    value: Any = recipe
    for part in filter(None, path.split(".")):
        value = getattr(value, part)
    return value
