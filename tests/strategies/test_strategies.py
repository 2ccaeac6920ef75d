"""Promises of the strategies: pure data, no torch."""

import itertools
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.errors import BackboneError, RecipeError
from graft.strategies import (
    HEAD,
    STRATEGIES,
    Phase,
    StrategyOptions,
    make_plan,
    unusual_rates,
)
from graft.strategies.options import PhaseOptions

STAGES = ("stem", "stage1", "stage2", "stage3", "stage4")

BY_NAME = sorted(set(STRATEGIES) - {"phases"})  # which means nothing without its phases
names = st.sampled_from(BY_NAME)
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


def rates_of(strategy, options, *, lr=3e-4, epochs=None):
    """Return the learning rates of each gradient phase, to six digits."""
    plan = make_plan(strategy, STAGES, lr=lr, epochs=epochs, options=options)
    document = plan.to_dict(lr, dict.fromkeys((*STAGES, HEAD), 1))
    return [
        {name: float(f"{rate:.6g}") for name, rate in phase["learning_rates"].items()}
        for phase in document["phases"]
        if phase["method"] == "gradient"
    ]


@given(
    st.dictionaries(st.sampled_from([*STAGES, HEAD]), st.sampled_from([1e-6, 1e-4, 1e-2])),
    st.floats(0.1, 1.0),
    st.sampled_from([1e-5, 1e-3, 1e-1]),
)
def test_a_stage_without_a_named_rate_takes_at_most_that_of_the_stage_above_it(named, decay, lr):
    options = StrategyOptions(rates=named, decay=decay)
    plan = make_plan("full", STAGES, lr=lr, options=options)
    rates = plan.phases[-1].multipliers
    upwards = [*STAGES, HEAD]
    for stage, above in itertools.pairwise(upwards):
        if stage in named:
            assert rates[stage] * lr == pytest.approx(named[stage])
        elif above == HEAD:
            assert rates[stage] == min(1.0, rates[HEAD])
        else:
            assert rates[stage] == pytest.approx(decay * rates[above])


def test_the_courses_rates_of_the_last_stage_and_the_head_hold_back_what_lies_below():
    [rates] = rates_of("full", StrategyOptions(rates={"stage4": 1e-5, HEAD: 1e-3}))
    assert (rates[HEAD], rates["stage4"]) == (1e-3, 1e-5)
    assert rates["stage3"] == 8.5e-6
    assert rates["stem"] < rates["stage1"] < rates["stage3"]


def test_the_second_phase_lets_nothing_below_run_faster_than_the_last_stage():
    options = StrategyOptions(first="last-stage", rates={"stage4": 1e-5, HEAD: 1e-3})
    _, second = rates_of("two-phase", options, epochs=6)
    assert {rate for name, rate in second.items() if name != HEAD} == {3e-6}


def test_one_rate_for_every_stage_can_be_said():
    [rates] = rates_of("full", StrategyOptions(decay=1.0), lr=1e-5)
    assert set(rates.values()) == {1e-5}
    _, second = rates_of("phases", StrategyOptions(phases="head:2 lr=1e-3 / all:3 lr=1e-5"))
    assert set(second.values()) == {1e-5}


def test_each_stage_that_joins_may_slow_everything_down():
    options = StrategyOptions(unfreeze_every=3, unfreeze_scale=0.1, head_start="random")
    rates = rates_of("gradual", options, lr=1e-2, epochs=9)
    assert [phase[HEAD] for phase in rates] == [1e-2, 1e-3, 1e-4]


def test_phases_are_the_plan_to_the_letter():
    plan = make_plan("phases", STAGES, options=StrategyOptions(phases="head:3/head+stage4:3/all:3"))
    assert [(p.name, p.method, p.epochs) for p in plan.phases] == [
        ("head", "gradient", 3),
        ("head + stage4", "gradient", 3),
        ("everything", "gradient", 3),
    ]
    assert plan.epochs == 9
    assert set(plan.phases[-1].multipliers.values()) == {1.0}


def test_a_phase_has_its_own_rate_schedule_optimizer_and_patience():
    said = (
        "head:3 optimizer=Adam(lr=1e-3) / head+stage3+stage4:4 lr=1e-4 decay=0.5 "
        "rates=stage3=1e-6 schedule=StepLR(step_size=2,gamma=0.5) patience=2"
    )
    lines = make_plan("phases", STAGES, lr=1.0, options=StrategyOptions(phases=said))
    mappings = [
        {"stages": ["head"], "epochs": 3, "optimizer": "Adam(lr=1e-3)"},
        {
            "stages": ["head", "stage3", "stage4"],
            "epochs": 4,
            "lr": 1e-4,
            "decay": 0.5,
            "rates": {"stage3": 1e-6},
            "schedule": "StepLR(step_size=2, gamma=0.5)",
            "patience": 2,
        },
    ]
    assert lines == make_plan("phases", STAGES, lr=1.0, options=StrategyOptions(phases=mappings))
    first, second = lines.phases
    assert first.multipliers == {HEAD: 1e-3}
    assert first.settings == {"optimizer": "adam", "weight_decay": 0.0}
    assert second.multipliers == {"stage3": 1e-6, "stage4": 1e-4, HEAD: 1e-4}
    assert second.settings == {"schedule": "step", "step_factor": 0.5, "step_every": 2}
    assert second.patience == 2


def test_a_head_may_be_solved_before_the_phases():
    plan = make_plan("phases", STAGES, options=StrategyOptions(phases="head:solve / all:2"))
    asked = StrategyOptions(phases="all:2", head_start="solve")
    assert [p.method for p in plan.phases] == ["solve", "gradient"]
    assert make_plan("phases", STAGES, options=asked).phases == plan.phases


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("head=3", "no phase"),
        ("stage4:3", r"write head\+stage4"),
        ("all:solve", "only the head is solved"),
        ("all:0", "greater than or equal to 1"),
        ("all:3 speed=2", "speed"),
        ("all:3 schedule=StepLR(x=2)", "takes step_size, gamma"),
        ("all:3 schedule=steep", "no schedule 'steep'"),
        ("all:3 optimizer=sgd", "needs its lr"),
        ("all:3 schedule=step(step_every=0)", "step_every"),
        ("all:3 schedule=StepLR(__import__('os'))", "plain numbers"),
    ],
)
def test_phases_that_cannot_be_meant_are_refused(said, words):
    with pytest.raises(ValueError, match=words):
        StrategyOptions(phases=said)


def test_a_phase_dumps_what_was_said_and_reads_back():
    phase = PhaseOptions(stages="head+stage4", epochs=2, lr=1e-3)
    assert phase.model_dump() == {"stages": ("head", "stage4"), "epochs": 2, "lr": 1e-3}
    assert PhaseOptions(**phase.model_dump()) == phase


@pytest.mark.parametrize("settings", [{"schedul": "step"}, {"schedule": "steep"}, {"lr": 0.1}])
def test_a_phase_has_no_settings_but_those_of_optimizer_and_schedule(settings):
    with pytest.raises(RecipeError, match=r"schedul|lr"):
        Phase("p", "gradient", 1, {HEAD: 1.0}, settings=settings)


@pytest.mark.parametrize(
    ("strategy", "optimizer", "lr", "words"),
    [
        ("full", "adamw", 0.1, "0.1, is above the usual 1e-06 to 0.001 of adamw"),
        ("full", "sgd", 1e-6, "is below the usual 0.0001 to 0.01 of sgd"),
        ("scratch", "sgd", 1e-5, "is below the usual 0.001 to 0.5"),
    ],
)
def test_an_unusual_rate_is_named_with_the_range(strategy, optimizer, lr, words):
    [warning] = unusual_rates(make_plan(strategy, STAGES, lr=lr), lr, optimizer)
    assert words in warning


def test_a_new_head_may_be_faster_than_what_is_pre_trained():
    phases = "head:2 lr=1e-2 / all:2 lr=1e-2"
    plan = make_plan("phases", STAGES, options=StrategyOptions(phases=phases))
    [warning] = unusual_rates(plan, 3e-4, "adamw")
    assert "of everything" in warning


def test_scratch_moves_batch_norm_statistics_and_the_others_keep_them():
    policies = {name: make_plan(name, STAGES).batch_norm for name in BY_NAME}
    assert policies.pop("scratch") == "train"
    assert set(policies.values()) == {"eval"}


@pytest.mark.parametrize(
    ("strategy", "epochs", "options", "words"),
    [
        ("prob", None, {}, "probe"),
        ("full", None, {"unfreeze_from": "stage3"}, "partial"),
        ("gradual", None, {"unfreeze_every": 2, "unfreeze_at": (1,)}, "two ways"),
        ("gradual", None, {"unfreeze_at": (3, 1)}, "rising"),
        ("phases", None, {}, "needs phases"),
        ("phases", 9, {"phases": "head:3 / all:3"}, "6 epochs together"),
        ("phases", None, {"phases": "all:3 / head:solve"}, "first phase or not at all"),
        ("full", None, {"phases": "all:3"}, "belongs to the strategy 'phases'"),
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
