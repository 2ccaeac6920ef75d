"""Promises of the strategies: pure data, no torch."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.errors import BackboneError, RecipeError
from graft.strategies import HEAD, STRATEGIES, StrategyOptions, make_plan

STAGES = ("stem", "stage1", "stage2", "stage3", "stage4")

names = st.sampled_from(sorted(STRATEGIES))
stage_lists = st.integers(1, 14).map(lambda n: ["stem", *(f"stage{i}" for i in range(1, n))])


def test_plans_need_no_torch():
    code = "import sys, graft.strategies; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@given(names, stage_lists, st.integers(2, 20), st.sampled_from(["solve", "random"]))
def test_every_phase_trains_the_head_and_a_top_slice_of_the_stages(strategy, stages, epochs, start):
    plan = make_plan(strategy, stages, epochs=epochs, options=StrategyOptions(head_start=start))
    for phase in plan.phases:
        trained, frozen = plan.trained(phase), plan.frozen(phase)
        assert (*frozen, *trained) == (*stages, HEAD)
        assert all(0 < rate <= 1 for rate in phase.multipliers.values())


@given(names, stage_lists, st.integers(2, 20))
def test_gradient_epochs_add_up_to_what_was_asked_for(strategy, stages, epochs):
    plan = make_plan(strategy, stages, epochs=epochs)
    assert sum(phase.epochs for phase in plan.phases) == plan.epochs == epochs


@given(stage_lists, st.integers(1, 20), st.integers(1, 4))
def test_gradual_thaws_one_stage_at_a_time_from_the_head_down(stages, epochs, every):
    plan = make_plan(
        "gradual", stages, epochs=epochs, options=StrategyOptions(unfreeze_every=every)
    )
    sizes = [len(plan.trained(phase)) for phase in plan.phases]
    assert sizes == list(range(1, len(sizes) + 1))
    assert all(phase.epochs >= 1 for phase in plan.phases if phase.method == "gradient")


@given(stage_lists, st.floats(0.1, 1.0))
def test_full_decays_geometrically_from_the_last_stage_to_the_first(stages, decay):
    plan = make_plan("full", stages, options=StrategyOptions(decay=decay))
    rates = plan.phases[-1].multipliers
    last = len(stages) - 1
    for index, name in enumerate(stages):
        assert rates[name] == pytest.approx(decay ** (last - index))
    assert rates[HEAD] == 1.0


def test_a_probe_solves_the_head_and_trains_no_epoch():
    plan = make_plan("probe", STAGES)
    assert [(p.method, p.epochs) for p in plan.phases] == [("solve", 0)]
    assert plan.frozen(plan.phases[0]) == STAGES


def test_a_probe_with_epochs_goes_on_by_gradient_with_everything_else_frozen():
    plan = make_plan("probe", STAGES, epochs=3)
    assert [(p.method, p.epochs) for p in plan.phases] == [("solve", 0), ("gradient", 3)]
    assert all(plan.frozen(phase) == STAGES for phase in plan.phases)


def test_partial_freezes_below_the_named_stage():
    plan = make_plan("partial", STAGES, options=StrategyOptions(unfreeze_from="stage3"))
    assert plan.frozen(plan.phases[-1]) == ("stem", "stage1", "stage2")


def test_gradual_thaws_after_the_given_epochs():
    options = StrategyOptions(unfreeze_at=(1, 4), head_start="random")
    plan = make_plan("gradual", STAGES, epochs=6, options=options)
    assert [(p.name, p.epochs) for p in plan.phases] == [
        ("head", 1),
        ("head + stage4", 3),
        ("head + stage3 … stage4", 2),
    ]


def test_gradual_on_a_plateau_ends_each_phase_but_the_last_by_patience():
    options = StrategyOptions(unfreeze_on_plateau=2)
    plan = make_plan("gradual", STAGES, epochs=9, options=options)
    gradient = [phase for phase in plan.phases if phase.method == "gradient"]
    assert [phase.patience for phase in gradient] == [2, 2, 2, 2, None]
    assert plan.epochs == 9


def test_two_phase_slows_down_in_the_second():
    options = StrategyOptions(first="last-stage", second_scale=0.1)
    first, second = make_plan("two-phase", STAGES, epochs=6, options=options).phases[1:]
    assert first.name == "head + stage4"
    assert second.multipliers["stage4"] == pytest.approx(0.1 * first.multipliers["stage4"])
    assert (first.epochs, second.epochs) == (2, 4)


def test_explicit_rates_are_the_rates_of_the_plan():
    options = StrategyOptions(rates={"stem": 1e-5, HEAD: 1e-2})
    plan = make_plan("full", STAGES, lr=1e-3, options=options)
    rates = plan.to_dict(1e-3, dict.fromkeys((*STAGES, HEAD), 1))["phases"][-1]["learning_rates"]
    assert rates["stem"] == pytest.approx(1e-5)
    assert rates[HEAD] == pytest.approx(1e-2)


def test_scratch_moves_batch_norm_statistics_and_the_others_keep_them():
    policies = {name: make_plan(name, STAGES).batch_norm for name in STRATEGIES}
    assert policies.pop("scratch") == "train"
    assert set(policies.values()) == {"eval"}


@pytest.mark.parametrize(
    ("strategy", "epochs", "options", "words"),
    [
        ("prob", None, {}, "probe"),
        ("full", None, {"unfreeze_from": "stage3"}, "partial"),
        ("gradual", None, {"unfreeze_every": 2, "unfreeze_at": (1,)}, "two ways"),
        ("gradual", None, {"unfreeze_at": (3, 1)}, "rising"),
        ("full", None, {"decay": 0.5, "rates": {"stem": 1e-4}}, "two ways"),
        ("full", 0, {}, "epochs"),
        ("two-phase", 2, {"first_epochs": 2}, "first phase"),
    ],
)
def test_contradictions_are_refused_with_a_way_out(strategy, epochs, options, words):
    with pytest.raises(RecipeError, match=words):
        make_plan(strategy, STAGES, epochs=epochs, options=StrategyOptions(**options))


@pytest.mark.parametrize("options", [{"unfreeze_from": "layer9"}, {"rates": {"layer9": 1e-3}}])
def test_an_unknown_stage_is_answered_with_those_there_are(options):
    strategy = "partial" if "unfreeze_from" in options else "full"
    with pytest.raises(BackboneError, match=r"layer9.*stem, stage1"):
        make_plan(strategy, STAGES, options=StrategyOptions(**options))
