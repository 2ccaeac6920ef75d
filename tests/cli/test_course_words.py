"""What the courses' users type first: it is done, or the line that does it is named."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def plan_of(graft_cli, photos):
    """Return what `graft fit` would do, and what it says about the words."""

    def plan(*words: str, verb: str = "fit", backbone: str = "resnet18"):
        chosen = () if "--backbone" in words else ("--backbone", backbone)
        done = graft_cli(verb, photos, *chosen, *words, "--dry-run", "--json")
        assert done.code == 0, done.err
        return json.loads(done.out), done.err

    return plan


def rates(document, phase=-1):
    return {
        name: float(f"{rate:.4g}")
        for name, rate in document["plan"]["phases"][phase]["learning_rates"].items()
    }


@pytest.mark.parametrize(
    ("word", "name"),
    [("feature-extraction", "probe"), ("fine-tuning", "full"), ("finetune", "full")],
)
def test_strategies(plan_of, word, name):
    document, said = plan_of("--strategy", word)
    assert document["strategy"] == name
    assert f"{word} is Graft's --strategy {name}." in said


def test_no_strategy_is_chosen_by_itself(graft_cli, photos):
    done = graft_cli("fit", photos, "--strategy", "auto", "--dry-run")
    assert done.code == 2
    assert "graft zoo --suggest DIR" in done.err


def test_the_networks_own_names_have_rates(plan_of):
    document, _ = plan_of("--strategy", "full", "--rates", "layer3=5e-5,layer4=1e-4,fc=1e-3")
    assert rates(document)["head"] == 1e-3
    assert (rates(document)["stage4"], rates(document)["stage3"]) == (1e-4, 5e-5)
    document, _ = plan_of(
        *("--strategy", "full", "--rates", "features=1e-5,classifier=1e-3"), backbone="mobilenet_v2"
    )
    assert rates(document).pop("head") == 1e-3
    assert {rate for name, rate in rates(document).items() if name != "head"} == {1e-5}


def test_a_part_of_a_stage_is_said_to_be_one(plan_of):
    document, said = plan_of(
        *("--strategy", "partial", "--unfreeze-from", "features.18"), backbone="mobilenet_v2"
    )
    assert document["plan"]["phases"][-1]["trains"] == ["stage5", "head"]
    assert "features.18 is a part of stage5, which is meant as a whole, from" in said


def test_optimizer_schedule_and_backbone_as_they_are_written_in_the_courses(plan_of):
    words = ("--optimizer", "SGD", "--schedule", "steplr", "--step-size", "7", "--gamma", "0.1")
    document, said = plan_of(*words, "--backbone", "ResNet-18", "--lr", "0.01")
    assert document["backbone"] == "torchvision:resnet18"
    for words in ("steplr is Graft's --schedule step", "step_size is Graft's --step-every"):
        assert words in said
    assert "ResNet-18 is Graft's --backbone resnet18" in said


def test_train_is_fit(plan_of):
    document, said = plan_of(verb="train")
    assert document["strategy"] == "probe"
    assert "train is Graft's fit." in said


def test_published_weights_by_name_and_nonsense_is_refused_without_a_run(
    plan_of, graft_cli, photos
):
    document, said = plan_of("--weights", "IMAGENET1K_V1")
    assert document["backbone"] == "torchvision:resnet18"
    assert "--backbone resnet18@IMAGENET1K_V1" in said
    for weights, words in (
        ("NONSENSE", "has no weights 'NONSENSE'"),
        ("no.pth", "no weights file"),
    ):
        refused = graft_cli(
            "fit", photos, "--backbone", "resnet18", "--weights", weights, "--dry-run"
        )
        assert refused.code == 2
        assert words in refused.err


def test_augmentations(plan_of, graft_cli, photos):
    _, said = plan_of("--augment", "RandomResizedCrop", "--strategy", "full")
    assert "RandomResizedCrop is Graft's --augment crop(0.08,1)" in said
    plan_of("--augment", "cutout", "--strategy", "full")
    for words in (("--cutmix",), ("--cutmix", "1.0")):
        refused = graft_cli("fit", photos, *words, "--dry-run")
        assert refused.code == 2
        assert "--mixup 0.2" in " ".join(refused.err.replace("│", " ").split())


def test_three_of_the_head_three_of_the_last_block_three_of_everything(plan_of):
    document, _ = plan_of("--phases", "head:3 / head+layer4:3 / all:3")
    assert document["strategy"] == "phases"
    assert [(p["epochs"], len(p["trains"])) for p in document["plan"]["phases"]] == [
        (3, 1),
        (3, 2),
        (3, 6),
    ]


def test_lower_stages_are_no_faster_than_the_stage_that_is_held_back(plan_of):
    document, _ = plan_of("--strategy", "full", "--rates", "layer4=1e-5,head=1e-3")
    assert max(rate for name, rate in rates(document).items() if name != "head") == 1e-5


def test_a_plan_says_how_much_of_the_network_trains(graft_cli, photos):
    done = graft_cli("fit", photos, "--backbone", "resnet18", "--dry-run")
    assert "Trainable: 1,539 of 11,178,051 parameters (0.0%)" in done.err


def test_a_rate_outside_the_usual_range_is_named_with_the_range(plan_of, graft_cli, photos):
    document, _ = plan_of("--strategy", "full", "--lr", "0.5")
    assert "above the usual 1e-06 to 0.001 of adamw" in document["warnings"][-1]
    done = graft_cli(
        *("fit", photos, "--backbone", "resnet18", "--strategy", "full", "--lr", "0.5", "--dry-run")
    )
    assert "Warning: The learning rate of everything, 0.5, is above" in done.err


def test_the_tutorials_preset_for_both_of_its_parts(plan_of):
    for strategy, trained in (("full", 6), ("probe", 1)):
        document, _ = plan_of("--preset", "tutorial", "--strategy", strategy)
        [phase] = document["plan"]["phases"]
        assert (phase["method"], phase["epochs"], len(phase["trains"])) == ("gradient", 25, trained)
        assert set(rates(document).values()) == {1e-3}
        assert document["warnings"] == []
