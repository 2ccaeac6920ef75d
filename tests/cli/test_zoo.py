"""`graft zoo`: without torch, clean on standard output, and kind about wrong names."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


def test_the_zoo_is_listed_as_json_and_nothing_else():
    done = subprocess.run(
        [sys.executable, "-m", "graft", "zoo", "--json"], capture_output=True, check=True
    )
    models = json.loads(done.stdout)
    assert sum(model["provider"] == "torchvision" for model in models) >= 70
    assert done.stderr == b""


def test_listing_loads_neither_torch_nor_anything_slow():
    code = (
        "import sys\nfrom graft.cli.main import main\n"
        "try: main(['zoo', '--suits', 'edge'])\nexcept SystemExit: pass\n"
        "slow = {'torch', 'torchvision', 'timm', 'PIL', 'numpy'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert "mobilenet_v3_small" in done.stderr


def test_conditions_of_the_command_line_reach_the_table(graft_cli):
    outcome = graft_cli(
        *("zoo", "--family", "mobilenet", "--max-params", "10M", "--min-top1", "72"),
        *("--suits", "edge", "--provider", "torchvision", "--sort", "flops", "--json"),
    )
    assert [model["name"] for model in json.loads(outcome.out)] == [
        "torchvision:mobilenet_v3_large",
        "torchvision:mobilenet_v2",
    ]


def test_one_backbone_is_described_on_the_terminal(graft_cli):
    outcome = graft_cli("zoo", "vit_b_16")
    assert outcome.code == 0
    assert outcome.out == ""
    for words in ("stem", "stage12", "197 × 768", "25 LayerNorm", "encoder_layer_11.ln_1", "81.07"):
        assert words in outcome.err


def test_one_backbone_is_described_as_json(graft_cli):
    document = json.loads(graft_cli("zoo", "resnet18", "--json").out)
    assert [stage["name"] for stage in document["stages"]][::4] == ["stem", "stage4"]
    assert document["grad_cam"] == {"path": "layer4", "shape": [512, 7, 7]}
    assert document["norms"] == {"BatchNorm2d": 20}


def test_a_short_list_is_suggested_for_a_folder(graft_cli, make_folder):
    root = make_folder({"ants": 4, "bees": 4})
    document = json.loads(graft_cli("zoo", "--suggest", root, "--json").out)
    assert 3 <= len(document["suggestions"]) <= 5
    outcome = graft_cli("zoo", "--suggest", root)
    assert outcome.out == ""
    assert "graft fit" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["resnet81"], "resnet18"),
        (["timmm:resnet18"], "timm"),
        (["--family", "resnt"], "resnet"),
        (["--sort", "size"], "params"),
        (["resnet18", "--suits", "edge"], "exclude each other"),
        (["resnet18", "--suggest", "photos"], "exclude each other"),
    ],
)
def test_what_cannot_be_meant_ends_with_code_2_and_the_way_out(graft_cli, arguments, words):
    outcome = graft_cli("zoo", *arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert words in outcome.err


def test_a_folder_that_does_not_exist_is_a_data_error(graft_cli, tmp_path):
    assert graft_cli("zoo", "--suggest", tmp_path / "none").code == 3
