"""Strategies and plans: which layers learn, when, and how fast. Plain data, no torch."""

from graft.plugins import STRATEGIES
from graft.strategies.options import StrategyOptions
from graft.strategies.plan import HEAD, Phase, Plan
from graft.strategies.strategies import Maker, Strategy, make_plan, stages_named, unusual_rates

__all__ = [
    "HEAD",
    "STRATEGIES",
    "Maker",
    "Phase",
    "Plan",
    "Strategy",
    "StrategyOptions",
    "make_plan",
    "stages_named",
    "unusual_rates",
]
