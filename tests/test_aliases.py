"""Promises of the words of courses and other libraries: what they mean, and that it is said."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.aliases import AUGMENTATIONS, PLACES, PRESETS
from graft.calls import parse_call, split_calls
from graft.config import Recipe, resolve, write_yaml
from graft.data.augment import TRANSFORMS, augmentation
from graft.errors import GraftError, RecipeError


def resolved(*args, **kwargs):
    """Return a recipe and what was said about its words."""
    said: list[str] = []
    return resolve(*args, on_message=said.append, **kwargs), said


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("feature-extraction", "probe"),
        ("feature_extraction", "probe"),
        ("fine-tuning", "full"),
        ("finetune", "full"),
        ("Fine-Tuning", "full"),
    ],
)
def test_a_strategy_goes_by_the_courses_names(word, name):
    recipe, said = resolved({"strategy": word})
    assert recipe.strategy.name == name
    assert said == [f"{word} is Graft's --strategy {name}."]


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "ADAM"])
def test_an_optimizer_goes_by_its_name_in_any_case_and_needs_no_word_about_it(name):
    recipe, said = resolved({"optimizer": name})
    assert (recipe.training.optimizer, recipe.training.momentum, said) == (name.lower(), 0.9, [])


def test_an_optimizer_with_arguments_has_pytorchs_arguments_and_defaults():
    recipe, said = resolved(
        {"optimizer": "optim.SGD(model.parameters(), lr=0.001, nesterov=False)"}
    )
    training = recipe.training
    assert (training.lr, training.momentum, training.weight_decay) == (0.001, 0.0, 0.0)
    assert "Graft's --optimizer sgd --momentum 0.0 --weight-decay 0.0 --lr 0.001" in said[0]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("StepLR(step_size=7, gamma=0.1)", {"schedule": "step", "step_every": 7}),
        ("StepLR(optimizer_ft, step_size=3, gamma=0.5)", {"step_every": 3, "step_factor": 0.5}),
        ("lr_scheduler.StepLR(optimizer, 4)", {"step_every": 4, "step_factor": 0.1}),
        ("steplr", {"schedule": "step"}),
        ("MultiStepLR(milestones=[3, 6])", {"schedule": "step", "step_at": (3, 6)}),
        ("ExponentialLR(gamma=0.9)", {"step_every": 1, "step_factor": 0.9}),
        ("CosineAnnealingLR(T_max=10, eta_min=1e-6)", {"cosine_epochs": 10, "min_lr": 1e-6}),
        (
            "CosineAnnealingWarmRestarts(T_0=10, T_mult=2, eta_min=1e-6)",
            {"schedule": "warm-restarts", "restart_every": 10, "restart_mult": 2, "min_lr": 1e-6},
        ),
        ("OneCycleLR(max_lr=0.01, epochs=9, steps_per_epoch=3)", {"lr": 0.01}),
        ("ReduceLROnPlateau('max', patience=3)", {"schedule": "plateau", "patience": 3}),
        ("ReduceLROnPlateau", {"patience": 10}),
        ("cosine(warmup=1)", {"schedule": "cosine", "warmup": 1.0}),
        ("step(3)", {"schedule": "step", "step_every": 3, "step_factor": 0.1}),
    ],
)
def test_a_schedule_goes_by_pytorchs_name_and_arguments(word, expected):
    recipe, [said] = resolved({"schedule": word})
    assert {name: getattr(recipe.training, name) for name in expected} == expected
    assert said.startswith(f"{word} is Graft's --schedule {recipe.training.schedule}")


def test_the_listings_arguments_are_options_of_their_own_too():
    recipe, said = resolved({"schedule": "steplr", "step_size": "9", "gamma": "0.5"})
    assert (recipe.training.step_every, recipe.training.step_factor) == (9, 0.5)
    assert "step_size is Graft's --step-every." in said


def test_words_are_understood_wherever_a_value_comes_from(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text("training: {schedule: StepLR(step_size=3), learning_rate: 0.5}\n")
    recipe = resolve(config=file, environ={"GRAFT_STRATEGY": "fine-tuning", "GRAFT_GAMMA": "0.3"})
    assert (recipe.training.schedule, recipe.training.step_every) == ("step", 3)
    assert (recipe.strategy.name, recipe.training.lr) == ("full", 0.5)
    assert recipe.training.step_factor == 0.3
    assert resolve(sets=["training.optimizer=SGD"]).training.optimizer == "sgd"


def test_a_flag_beats_what_the_words_of_a_file_say(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text("training: {schedule: StepLR(step_size=3)}\n")
    assert resolve({"step_every": 5}, config=file).training.step_every == 5


def test_what_is_said_twice_and_differently_is_refused():
    with pytest.raises(RecipeError, match="says step_every = 7, and step_every = 3 is given"):
        resolve({"schedule": "StepLR(step_size=7)", "step_every": "3"})
    assert resolve({"schedule": "StepLR(7)", "step_every": "7"}).training.step_every == 7


@pytest.mark.parametrize(
    ("word", "ours"),
    [
        ("RandomResizedCrop(224)", "crop(0.08,1)"),
        ("RandomResizedCrop", "crop(0.08,1)"),
        ("RandomResizedCrop(224, scale=(0.08, 1), ratio=(3/4, 4/3))", "crop(0.08,1,1.33333333333)"),
        ("transforms.RandomResizedCrop(224, scale=(0.5, 1.0), ratio=(0.75, 1.3333))", None),
        ("RandomHorizontalFlip()", "hflip(0.5)"),
        ("RandomRotation(15)", "rotation(15)"),
        ("RandomRotation((-20, 20))", "rotation(20)"),
        ("ColorJitter(0.2, 0.2)", "jitter(0.2,0.2,0,0)"),
        ("ColorJitter(brightness=(0.8, 1.2), hue=0.1)", "jitter(0.2,0,0,0.1)"),
        ("RandomGrayscale(p=0.2)", "grayscale(0.2)"),
        ("GaussianBlur(5, sigma=(0.1, 1.5))", "blur(1,1.5)"),
        ("RandomErasing(p=0.2)", "erasing(0.2,0.02,0.33,0)"),
        ("RandomErasing(value='random')", "erasing(0.5,0.02,0.33,1)"),
        ("Cutout()", "cutout(16,1)"),
        ("Cutout(n_holes=2, length=8)", "cutout(8,2)"),
        ("cutout(8)", "cutout(8,1)"),
        ("RandAugment(num_ops=3)", "randaugment(3,9)"),
        ("hflip, RandomRotation(15)", "hflip,rotation(15)"),
        ("Resize(256), CenterCrop(224), ToTensor(), Normalize([0.5], [0.5])", None),
    ],
)
def test_augmentations_go_by_torchvisions_names_arguments_and_defaults(word, ours):
    recipe, [said] = resolved({"augment": word})
    assert "Graft's --augment" in said
    if ours is not None:
        assert recipe.data.augment == ours
    augmentation(recipe.data.augment)
    assert (recipe.data.image_size == 224) == ("224" in word and "Resize(" not in word)


def test_a_transform_that_has_the_same_name_here_needs_no_word_about_it():
    recipe, said = resolved({"augment": "Cutout,RandAugment"})
    assert (recipe.data.augment, said) == ("cutout,randaugment", [])


def test_what_the_preprocessing_does_anyway_is_left_out():
    words = "RandomHorizontalFlip(), ToTensor(), Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))"
    assert resolve({"augment": words}).data.augment == "hflip(0.5)"
    assert resolve({"augment": "ToTensor()"}).data.augment == "none"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"augment": "RandomRotation((0, 20))"}, "evenly about 0"),
        ({"augment": "RandomErasing(ratio=(1, 2))"}, "the ratio of RandomErasing is always"),
        ({"augment": "RandomCrop(32)"}, None),
        ({"augment": "hflip,cutmix"}, "--mixup 0.2"),
        ({"augment": "ColorJitter(colour=3)"}, "takes brightness, contrast"),
        ({"schedule": "OneCycleLR(max_lr=1, pct_start=0.5)"}, "pct_start of OneCycleLR is always"),
        ({"optimizer": "Adam(betas=(0.5, 0.9))"}, "betas"),
        ({"strategy": "auto"}, "zoo --suggest"),
        ({"cutmix": "1.0"}, "--mixup"),
        ({"schedule": "StepLR(step_size=__import__('os').getpid())"}, "plain numbers"),
        ({"schedule": "StepLR(" + "(" * 500 + ")" * 500 + ")"}, "plain numbers"),
        ({"schedule": "StepLR(" + "9" * 5000 + ")"}, "name with arguments"),
        ({"augment": "RandomResizedCrop(224)", "image_size": 64}, "image_size = 64 is given"),
    ],
)
def test_words_that_mean_nothing_here_are_refused_with_the_nearest_thing(flags, words):
    with pytest.raises(GraftError, match=words) as caught:
        augmentation(resolve(flags).data.augment)
    assert caught.value.exit_code == 2
    assert len(str(caught.value)) < 400


def test_every_transform_that_a_name_stands_for_is_there():
    assert {word.name for word in AUGMENTATIONS.values() if word.name} <= set(TRANSFORMS)
    assert set(PLACES) <= set(TRANSFORMS)


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ({"weights": "IMAGENET1K_V1", "backbone": "resnet18"}, "resnet18@IMAGENET1K_V1"),
        ({"weights": "ResNet18_Weights.DEFAULT"}, "resnet18@DEFAULT"),
        ({"weights": "MobileNet_V2_Weights.IMAGENET1K_V1"}, "mobilenet_v2@IMAGENET1K_V1"),
        ({"weights": "a1_in1k", "backbone": "timm:resnet18"}, "timm:resnet18@a1_in1k"),
    ],
)
def test_published_weights_go_by_their_name(flags, name):
    recipe, [said] = resolved(flags)
    assert (recipe.backbone.name, recipe.backbone.weights) == (name, None)
    assert name in said


def test_a_file_is_a_file_even_without_a_suffix(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "IMAGENET1K_V1").touch()
    recipe = resolve({"weights": "IMAGENET1K_V1", "backbone": "resnet18"})
    assert recipe.backbone.weights == "IMAGENET1K_V1"


def test_published_weights_without_a_backbone_are_asked_for_one():
    with pytest.raises(RecipeError, match="--backbone NAME"):
        resolve({"weights": "IMAGENET1K_V1"})


def test_phases_are_a_strategy_of_their_own_and_read_back(tmp_path):
    recipe = resolve({"phases": "head:3 lr=1e-3 / head+layer4:3 schedule=StepLR(7) / all:3"})
    assert recipe.strategy.name == "phases"
    write_yaml(recipe, tmp_path / "recipe.yaml")
    assert resolve(config=tmp_path / "recipe.yaml") == recipe
    assert "'stages'" not in (tmp_path / "recipe.yaml").read_text()
    with pytest.raises(RecipeError, match="write phases as in"):
        resolve({"phases": "head=3"})


def test_the_tutorials_preset_is_its_listing_to_the_letter():
    recipe = resolve({"preset": "tutorial", "strategy": "full"})
    training, strategy = recipe.training, recipe.strategy
    assert recipe.backbone.name == "resnet18@IMAGENET1K_V1"
    assert recipe.head.kind == "linear"
    assert strategy.head_start == "random"
    assert (training.optimizer, training.lr, training.momentum) == ("sgd", 0.001, 0.9)
    assert (training.weight_decay, training.nesterov, training.clip) == (0.0, False, None)
    assert (training.schedule, training.step_every, training.step_factor) == ("step", 7, 0.1)
    assert (training.batch_size, training.epochs, training.accumulate) == (4, 25, 1)
    assert (training.label_smoothing, training.mixup, training.warmup) == (0.0, 0.0, 0.0)
    assert (training.class_weights, training.early_stopping) == ("none", None)
    assert (strategy.decay, strategy.batch_norm) == (1.0, "train")
    assert training.views == training.epochs, "a new view of every image in every epoch"
    assert augmentation(recipe.data.augment) == augmentation(
        resolve({"augment": "RandomResizedCrop(224), RandomHorizontalFlip()"}).data.augment
    )


def test_whatever_else_is_given_beats_a_preset(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text("preset: tutorial\ntraining: {epochs: 3}\n")
    recipe = resolve({"lr": 0.01, "weights": "file.pth"}, config=file)
    assert (recipe.training.epochs, recipe.training.lr, recipe.training.batch_size) == (3, 0.01, 4)
    assert recipe.backbone.name is None
    write_yaml(recipe, tmp_path / "again.yaml")
    assert resolve(config=tmp_path / "again.yaml") == recipe


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_recipe(name):
    assert isinstance(resolve({"preset": name}), Recipe)
    with pytest.raises(RecipeError, match="preset"):
        resolve({"preset": "tutoria"})


@given(st.text(max_size=60))
def test_any_text_is_a_call_or_a_value_error(text):
    for part in split_calls(text):
        with contextlib.suppress(ValueError):
            parse_call(part)
