"""A model folder is data: whatever is edited in it, it answers the same or is refused."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from graft.backbones.load import load_backbone
from graft.errors import DataError
from graft.files import sha256
from graft.model import Classifier
from graft.tasks import Classification
from tests import hostile
from tests.hostile import BACKBONES, VALUES, ask, edited, judge, places, write

QUICK = 30
"""Edits of each folder outside of `make test-all`."""

PER_LEAF = 6
"""Values of the 28 that each leaf gets in `make test-all`."""


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: hostile.write_model(name, tmp_path_factory.mktemp("model")) for name in BACKBONES}


@pytest.fixture
def copied(models: dict[str, Path], tmp_path: Path) -> Any:
    def copy(name: str) -> tuple[Path, dict[str, Any]]:
        folder = tmp_path / "copy"
        shutil.copytree(models[name], folder)
        return folder, json.loads((folder / "model.json").read_text())

    return copy


@pytest.mark.parametrize("name", BACKBONES)
def test_a_few_edits_are_refused_or_change_nothing(name: str, copied: Any) -> None:
    folder, facts = copied(name)
    edits = [(where, value) for where in places(facts) for value in VALUES]
    right = ask(folder)
    assert not isinstance(right, DataError)
    for where, value in random.Random(0).sample(edits, QUICK):
        write(folder, edited(facts, where, value))
        judge(where, value, ask(folder), right)


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKBONES)
def test_edits_of_every_leaf_are_refused_or_change_nothing(name: str, copied: Any) -> None:
    """Every leaf gets some of the values, so that the folders of all providers take minutes."""
    folder, facts = copied(name)
    right = ask(folder)
    assert not isinstance(right, DataError)
    chance = random.Random(0)
    for where in places(facts):
        for value in chance.sample(VALUES, PER_LEAF):
            write(folder, edited(facts, where, value))
            judge(where, value, ask(folder), right)


@pytest.mark.parametrize(
    "where", [("head", "kind"), ("task", "name"), ("graft",), ("backbone", "stages", 0, "name")]
)
def test_a_long_text_in_place_of_a_name_is_refused_briefly(where: Any, copied: Any) -> None:
    folder, facts = copied("graft-small")
    right = ask(folder)
    assert not isinstance(right, DataError)
    write(folder, edited(facts, where, "x" * 100_000))
    judge(where, "x", ask(folder), right)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("timm:test_vit", {"options": {"num_classes": 1000, "checkpoint_path": "TRAP"}}),
        ("timm:test_vit", {"options": {"num_classes": 1000, "pretrained_cfg": {"file": "TRAP"}}}),
        ("timm:test_vit", {"options": {"num_classes": 1000, "pretrained": True}}),
        ("timm:test_vit", {"options": {"num_classes": 10**12}}),
        ("timm:test_vit", {"name": "hf-hub:attacker/x"}),
        ("timm:test_vit", {"name": "local-dir:FOLDER"}),
        ("timm:test_vit", {"options": {"num_classes": 1000, "img_size": [65536, 65536]}}),
        ("squeezenet1_1", {"name": "quantized_resnet18"}),
        ("squeezenet1_1", {"options": {"weights": "DEFAULT"}}),
        ("hf", {"config": {"_attn_implementation": "attacker/kernel"}}),
        ("hf", {"config": {"_experts_implementation": "attacker/kernel"}}),
        ("hf", {"config": {"auto_map": {"AutoConfig": "evil.Config"}, "trust_remote_code": True}}),
        ("hf", {"config": {"quantization_config": {"quant_method": "attacker"}}}),
        ("hf", {"config": {"use_timm_backbone": True, "backbone": "hf-hub:attacker/x"}}),
        ("hf", {"config": {"hidden_size": 2**40}}),
        ("hf", {"config": {"hidden_size": 2**20, "intermediate_size": 2**20}}),
        ("hf", {"config": {"num_hidden_layers": 2**20}}),
        ("hf", {"config": {"patch_size": 1, "image_size": 2**20}}),
        ("hf", {"config": {"num_labels": 2**30}}),
        ("hf", {"config": {"id2label": {"0": "x"}}}),
    ],
)
def test_an_architecture_with_options_of_its_own_is_refused(
    name: str, change: dict[str, Any], copied: Any, tmp_path: Path
) -> None:
    folder, facts = copied(name)
    mark = tmp_path / "ran"
    trap = hostile.Trap(mark).lay(folder / "trap.pth")
    text = json.dumps(change).replace("TRAP", str(trap)).replace("FOLDER", str(folder))
    change = json.loads(text)
    architecture = facts["backbone"]["architecture"]
    if "config" in change:
        change = {"config": {**architecture["config"], **change["config"]}}
    facts["backbone"]["architecture"] = {**architecture, **change}
    if "name" in change:
        facts["backbone"]["name"] = f"timm:{change['name']}"
    write(folder, facts)

    assert isinstance(ask(folder), DataError)
    assert not mark.exists()
    with hostile.guarded(), pytest.raises(DataError):
        load_backbone(str(folder))


@pytest.mark.parametrize("size", [1, 80, 4096, 65536])
@pytest.mark.parametrize("name", BACKBONES)
def test_another_image_size_is_refused_before_it_costs_anything(
    name: str, size: int, copied: Any
) -> None:
    folder, facts = copied(name)
    backbone = facts["backbone"]
    backbone["preprocess"] |= {"image_size": [size, size], "resize": None}
    if name == "hf":
        backbone["architecture"]["image_size"] = [size, size]
    if "vit" in name:
        backbone["architecture"]["options"]["img_size"] = [size, size]
    write(folder, facts)

    assert isinstance(ask(folder), DataError)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"task": {"name": "classification", "classes": ["bees", "ants"]}}, "checksum"),
        ({"format": 1}, "format 1, which no release wrote"),
        ({"format": 0}, "format is 0"),
        ({"format": -1}, "format is -1"),
        ({"format": True}, "format is True"),
        ({"format": 2.0}, r"format is 2\.0"),
        ({"format": 4, "graft": "9.0"}, "format 4, written by Graft '9.0'"),
        ({"checksum": None}, "checksum"),
        ({"backbone": None}, "backbone"),
    ],
)
def test_an_edit_without_the_checksum_is_found(
    change: dict[str, Any], words: str, copied: Any
) -> None:
    folder, facts = copied("graft-small")
    (folder / "model.json").write_text(json.dumps({**facts, **change}))

    with pytest.raises(DataError, match=words) as refused:
        Classifier.load(folder)
    assert refused.value.exit_code == 3


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ([f"class {number}" for number in range(20)], "the task has 20 outputs and the head 2"),
        (["ants", "ants"], "there twice"),
        (["ants", ""], "needs a name"),
        (["ants", 7], "should be a string"),
        (["ants"], "the task has 1 outputs and the head 2"),
    ],
)
def test_class_names_that_do_not_fit_the_logits_are_refused(
    classes: list[Any], words: str, copied: Any
) -> None:
    folder, facts = copied("graft-small")
    write(folder, {**facts, "task": {**facts["task"], "classes": classes}})

    with pytest.raises(DataError, match=words):
        Classifier.load(folder)


def test_a_classifier_with_two_classes_of_one_name_is_not_saved(
    models: dict[str, Path], tmp_path: Path
) -> None:
    classifier = Classifier.load(models["graft-small"])
    classifier.task = Classification(("ants", "ants"))

    with pytest.raises(DataError, match="there twice"):
        classifier.save(tmp_path / "new")
    assert not (tmp_path / "new" / "model.json").exists()


def test_class_names_that_are_no_valid_text_are_kept(
    models: dict[str, Path], tmp_path: Path
) -> None:
    classifier = Classifier.load(models["graft-small"])
    classifier.task = Classification(("caf\udce9", "büro\n"))
    classifier.save(tmp_path / "new")

    assert Classifier.load(tmp_path / "new").classes == ("caf\udce9", "büro\n")


def _complex(tensors: dict[str, torch.Tensor]) -> None:
    tensors["fc.weight"] = tensors["fc.weight"].to(torch.complex64)


def _boolean(tensors: dict[str, torch.Tensor]) -> None:
    tensors["fc.weight"] = tensors["fc.weight"] > 0


def _whole(tensors: dict[str, torch.Tensor]) -> None:
    tensors["stem.0.weight"] = tensors["stem.0.weight"].to(torch.int64)


def _wide(tensors: dict[str, torch.Tensor]) -> None:
    tensors["fc.weight"] = torch.zeros(2, 500)


def _missing(tensors: dict[str, torch.Tensor]) -> None:
    del tensors["fc.bias"]


def _surplus(tensors: dict[str, torch.Tensor]) -> None:
    tensors["other"] = torch.zeros(3)


@pytest.mark.parametrize("damage", [_complex, _boolean, _whole, _wide, _missing, _surplus])
def test_weights_that_the_network_does_not_have_are_refused(damage: Any, copied: Any) -> None:
    folder, facts = copied("graft-small")
    tensors = load_file(folder / "model.safetensors")
    damage(tensors)
    save_file(tensors, folder / "model.safetensors")
    write(folder, {**facts, "sha256": sha256(folder / "model.safetensors")})

    assert isinstance(ask(folder), DataError)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{" * 100_000, '{"format": 1' + "0" * 5000 + "}", '{"format": NaN}']
)
def test_a_record_that_is_no_json_of_ours_is_named(text: str, copied: Any) -> None:
    folder, _ = copied("graft-small")
    (folder / "model.json").write_text(text)

    answer = ask(folder)
    assert isinstance(answer, DataError)
    assert "damaged" in answer.problem
    assert len(answer.problem) < 500
