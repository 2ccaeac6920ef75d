"""An option that changes nothing is named, with what it goes with; a default is not."""

from __future__ import annotations

import pytest

import graft
from graft.config import Recipe, TrainingOptions, options, resolve, write_yaml
from graft.files import sha256
from graft.strategies import STRATEGIES, StrategyOptions, make_plan
from graft.strategies.optimization import Needs
from graft.workflows.effects import CONDITIONS, without_effect
from tests.workflows.conftest import write_photos

STAGES = ["stem", "stage1", "stage2"]
MATTERS_ALWAYS = {"epochs", "class_weights", "precision"}


def said(flags=None, **sources):
    recipe = resolve(flags or {}, **sources)
    section = recipe.strategy.model_dump(exclude={"name"})
    plan = make_plan(
        recipe.strategy.name,
        STAGES,
        epochs=recipe.training.epochs,
        options=StrategyOptions(**section),
    )
    return without_effect(recipe, plan)


def test_what_a_solved_probe_ignores_is_said_in_one_line_that_names_what_does_not():
    given = {"lr": 0.1, "mixup": 0.2, "schedule": "step", "optimizer": "sgd", "batch_size": 4}
    (line,) = said({"strategy": "probe", **given})
    assert line == (
        "--optimizer, --lr, --schedule, --batch-size and --mixup have no effect: the head is "
        "solved, and nothing is trained by gradient. They take effect with --epochs 1 or more, or "
        "--strategy partial, gradual, two-phase or full."
    )
    assert said({"strategy": "probe", "epochs": 1, **given}) == []
    assert said({"strategy": "probe", "head_start": "random", **given}) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"step_every": 3}, "--step-every has no effect: --schedule is one-cycle. It takes effect "
                            "with --schedule step."),
        ({"step_factor": 0.5}, "with --schedule step or plateau."),
        ({"patience": 1}, "with --schedule plateau."),
        ({"restart_every": 3}, "with --schedule warm-restarts."),
        ({"momentum": 0.5}, "--optimizer is adamw. It takes effect with --optimizer sgd."),
        ({"views": 2, "head_start": "random"}, "no stage is frozen"),
        ({"views": 2, "augment": "none", "strategy": "partial"}, "nothing is augmented"),
    ],
)  # fmt: skip
def test_an_option_of_another_schedule_or_optimizer_is_said(given, words):
    (line,) = said({"strategy": "full", **given})
    assert words in line


def test_augmentation_goes_with_views_where_the_head_is_solved():
    (line,) = said({"strategy": "probe", "augment": "strong"})
    assert line.endswith("or full, or --views N.")
    assert said({"strategy": "probe", "augment": "strong", "views": 2}) == []
    assert said({"strategy": "probe", "augment": "none"}) == []


def test_an_option_counts_wherever_it_was_given(tmp_path):
    (tmp_path / "own.yaml").write_text("training:\n  lr: 0.1\n")
    for sources in (
        {"environ": {"GRAFT_LR": "0.1"}},
        {"sets": ["training.lr=0.1"]},
        {"config": tmp_path / "own.yaml"},
        {"flags": {"lr": TrainingOptions().lr or 3e-4}},
    ):
        (line,) = said(**sources)
        assert line.startswith("--lr has no effect")


@pytest.mark.parametrize("strategy", sorted(set(STRATEGIES.shipped) - {"phases"}))
def test_nothing_is_said_of_defaults_nor_of_a_recipe_that_lists_them_all(tmp_path, strategy):
    assert said({"strategy": strategy}) == []
    write_yaml(resolve({"strategy": strategy}), tmp_path / "recipe.yaml")
    assert said(config=tmp_path / "recipe.yaml") == []


def test_every_training_option_says_when_it_has_an_effect():
    needs = {
        flag: [each for each in field.metadata if isinstance(each, Needs)]
        for flag, path, field in options()
        if path.startswith("training.")
    }
    assert {flag for flag, found in needs.items() if not found} == MATTERS_ALWAYS


def test_every_condition_is_known_or_names_an_option():
    fields = {flag: field for flag, _, field in options(Recipe)}
    for field in fields.values():
        for needs in field.metadata:
            for condition in needs.conditions if isinstance(needs, Needs) else ():
                assert condition in CONDITIONS or condition.partition("=")[0] in fields


def test_a_run_says_it_and_what_it_names_really_changes_nothing(tmp_path):
    counts = {f"{split}/{name}": 5 for split in ("train", "val") for name in ("red", "green")}
    data = write_photos(tmp_path / "data", counts)
    small = {"backbone": "graft-small", "image_size": 16}
    plain = graft.fit(data, out=tmp_path / "plain", **small)
    given = {"lr": 0.1, "mixup": 0.2, "schedule": "step", "optimizer": "sgd", "batch_size": 4}
    given |= {"label_smoothing": 0.3, "clip": 1, "weight_decay": 0.5, "augment": "strong"}
    given |= {"dropout": 0.5, "decay": 0.5, "batch_norm": "train", "keep": "fine-tuned"}
    odd = graft.fit(data, out=tmp_path / "odd", **small, **given)
    first, *others = odd.result["warnings"]
    assert all(f"--{name.replace('_', '-')}" in " ".join([first, *others]) for name in given)
    models = [run.run / "model/model.safetensors" for run in (plain, odd)]
    assert sha256(models[0]) == sha256(models[1])
    again = graft.fit(config=plain.run / "recipe.yaml", out=tmp_path / "again")
    assert not any("no effect" in warning for warning in again.result["warnings"])
