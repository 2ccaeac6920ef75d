"""Promises of the recipe: one model, four sources, errors that name the way out."""

import subprocess
import sys

import pytest

from graft.config import Recipe, options, resolve, write_yaml
from graft.errors import DataError, RecipeError


def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text("training: {lr: 0.3, batch_size: 7, epochs: 4}\n")
    environ = {"GRAFT_LR": "0.2", "GRAFT_BATCH_SIZE": "6"}
    recipe = resolve({"lr": 0.1}, config=file, environ=environ)
    training = recipe.training
    assert (training.lr, training.batch_size, training.epochs) == (0.1, 6, 4)
    assert training.momentum == Recipe().training.momentum


def test_set_reaches_every_option(tmp_path):
    for _, path, field in options():
        if isinstance(field.default, bool | int | float | str):
            value = str(field.default).lower() if field.default is False else field.default
            assert resolve(sets=[f"{path}={value}"]) == Recipe()


def test_text_becomes_the_type_of_the_option():
    recipe = resolve({"unfreeze_at": "1,3", "rates": "stem=1e-5,head=1e-3", "lr": "1e-3"})
    assert recipe.strategy.unfreeze_at == (1, 3)
    assert recipe.strategy.rates == {"stem": 1e-5, "head": 1e-3}
    assert recipe.training.lr == 1e-3


def test_a_written_recipe_reads_back_as_the_same(tmp_path):
    recipe = resolve({"unfreeze_at": "1,3", "strategy": "gradual", "lr": 0.02, "seed": 5})
    write_yaml(recipe, tmp_path / "recipe.yaml")
    assert resolve(config=tmp_path / "recipe.yaml") == recipe


@pytest.mark.parametrize(
    ("flags", "sets", "words"),
    [
        ({"batch_sizes": 3}, [], "batch_size"),
        ({}, ["training.leraning_rate=3"], "training"),
        ({}, ["training.lr"], "no '='"),
        ({"lr": "fast"}, [], "training.lr = 'fast'"),
        ({"lr": "-1"}, [], "greater than 0"),
        ({"lr": "nan"}, [], "training.lr"),
        ({"optimizer": "sgdd"}, [], "sgd"),
        ({"nesterov": True}, [], "--nesterov needs --optimizer sgd"),
        ({"strategy": "scratch", "weights": "w.pth"}, [], "scratch"),
        ({"val_fraction": 0.6, "test_fraction": 0.5}, [], "nothing to train on"),
        ({"accumulate": 9, "batch_size": 8}, [], "9 parts"),
        ({"warmup": 3, "epochs": 3}, [], "warm-up"),
        ({"rates": "stem:3"}, [], "stem=1e-5"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_words(flags, sets, words):
    with pytest.raises(RecipeError, match=words) as caught:
        resolve(flags, sets=sets)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n- b\n", "not a mapping"),
        ("trainign: {lr: 1}\n", "trainign"),
        ("training: 3\n", "training"),
    ],
)
def test_a_recipe_file_that_is_none_is_refused(tmp_path, text, words):
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(RecipeError, match=words):
        resolve(config=tmp_path / "r.yaml")


def test_a_missing_recipe_file_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"nowhere\.yaml"):
        resolve(config=tmp_path / "nowhere.yaml")


def test_a_recipe_file_runs_no_code(tmp_path):
    (tmp_path / "r.yaml").write_text("seed: !!python/object/apply:os.getpid []\n")
    with pytest.raises(DataError, match="cannot be read"):
        resolve(config=tmp_path / "r.yaml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "cannot be read"),
        ("seed: 1" + "0" * 5000, "5,001 characters"),
        ("a: &a [1]\n" + "b: *a", "alias"),
        ("a: " + "[" * 5000 + "]" * 5000, "levels deep"),
        ("seed: 2020-99-99", "cannot be read"),
        ("seed: 1" + ":59" * 3000, "characters"),
    ],
)
def test_a_recipe_file_that_is_no_plain_data_is_refused_as_data(tmp_path, text, words):
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        resolve(config=tmp_path / "r.yaml")
    assert caught.value.exit_code == 3
    assert len(str(caught.value)) < 400


def test_an_option_of_5000_digits_is_refused_in_a_line():
    with pytest.raises(RecipeError, match="seed") as caught:
        resolve(sets=["seed=1" + "0" * 5000])
    assert len(str(caught.value)) < 400


def test_the_flag_names_are_unique():
    names = [name for name, _, _ in options()]
    assert len(names) == len(set(names))


def test_neither_the_package_nor_the_recipe_loads_torch():
    code = "import sys, graft, graft.config, graft.run; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_head_goes_by_its_kind_and_reads_its_widths() -> None:
    head = resolve({"head": "mlp", "hidden": "512,128", "normalization": "batch"}).head

    assert (head.kind, head.hidden, head.normalization) == ("mlp", (512, 128), "batch")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"hidden": "512"}, "--hidden belongs to --head mlp"),
        ({"head": "mlp", "head_start": "solve"}, "needs a linear head, and --head is mlp"),
        ({"head": "mlp", "hidden": ""}, "hidden"),
        ({"channels": 2}, "1 or 3 channels"),
        (
            {"head": "mlp", "normalization": "batch", "batch_size": 1},
            "cannot normalise batches of one image",
        ),
    ],
)
def test_heads_and_channels_that_cannot_be_meant_are_refused(flags: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        resolve(flags)
