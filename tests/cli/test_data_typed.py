"""What people have, as they type it first: each layout reaches a plan or a result."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import graft
from graft.data.manifest import Manifest
from graft.data.preprocess import Preprocess
from graft.model import Model
from graft.training import Callback
from tests.workflows.conftest import SMALL, write_photos

FLAGS = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]


def written(root: Path, *, count: int = 6) -> Path:
    """Write Dogs vs. Cats: labels in file names, and a folder of images without any."""
    flat = write_photos(root / "flat", {"red": count, "blue": count})
    for label, name in (("red", "cat"), ("blue", "dog")):
        for number, file in enumerate(sorted((flat / label).iterdir())):
            (root / "train").mkdir(parents=True, exist_ok=True)
            file.rename(root / "train" / f"{name}.{number}.png")
        (flat / label).rmdir()
    flat.rmdir()
    (root / "test1").mkdir()
    Image.new("RGB", (40, 30)).save(root / "test1" / "1.png")
    return root


def sign_mnist(path: Path, count: int = 24) -> Path:
    """Write a CSV `label,pixel1,...,pixel784` as Sign MNIST has it, dark signs and bright ones."""
    rng = np.random.default_rng(0)
    lines = ["label," + ",".join(f"pixel{number}" for number in range(1, 785))]
    for number in range(count):
        pixels = rng.integers(100, size=784) + 150 * (number % 2)
        lines.append(",".join(map(str, [number % 2, *pixels])))
    path.write_text("\n".join(lines) + "\n")
    return path


def planned(outcome) -> dict:
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def test_dogs_vs_cats(graft_cli, tmp_path):
    root = written(tmp_path / "dogs-vs-cats")
    document = planned(graft_cli("fit", root, "--dry-run", "--json", *FLAGS))
    assert document["classes"] == ["cat", "dog"]
    assert (document["train_images"], document["val_images"]) == (10, 2)
    assert (
        "Labels are the beginnings of the file names in 'train': cat (6), dog (6)."
        in (document["warnings"])
    )


def test_file_names_without_labels_are_refused_with_what_to_do(graft_cli, tmp_path):
    for number in range(3):
        Image.new("RGB", (40, 30)).save(tmp_path / f"IMG_{number}.png")
    outcome = graft_cli("fit", tmp_path, *FLAGS)
    assert outcome.code == 3
    said = " ".join(outcome.err.split())
    assert "all file names begin with 'IMG'" in said
    assert "Put the images of each class into a folder of the class's name, or begin" in said


def test_training_and_testing(graft_cli, tmp_path):
    counts = {f"{split}/{label}": 6 for split in ("Training", "Testing") for label in "ab"}
    document = planned(
        graft_cli("fit", write_photos(tmp_path, counts), "--dry-run", "--json", *FLAGS)
    )
    assert (document["val_images"], document["test_images"]) == (2, 12)
    assert (
        "'Testing' is read as the test split, 'Training' as the training split."
        in (document["warnings"])
    )


def test_sign_mnist_is_learned_resumed_evaluated_and_predicted(
    graft_cli, tmp_path, weights, monkeypatch
):
    monkeypatch.setenv("GRAFT_CACHE", str(tmp_path / "cache"))
    table, run = sign_mnist(tmp_path / "sign_mnist_train.csv"), tmp_path / "run"
    outcome = graft_cli("fit", table, "--out", run, "--weights", weights, *FLAGS, "--json")
    assert planned(outcome)["classes"] == ["0", "1"]
    assert "holds 24 grey images of 28 x 28 pixels as rows of numbers" in outcome.err
    assert graft_cli("fit", "--resume", "--out", run).code == 0
    measured = planned(graft_cli("evaluate", run, table, "--json"))
    assert measured["images"] == 24
    path = Manifest.load(run / "split.csv").samples[0].path
    assert planned(graft_cli("predict", run, path, "--json"))


def test_a_run_on_pixels_is_resumed_though_the_cache_was_emptied(
    graft_cli, tmp_path, weights, monkeypatch
):
    monkeypatch.setenv("GRAFT_CACHE", str(tmp_path / "cache"))
    table, run = sign_mnist(tmp_path / "signs.csv"), tmp_path / "run"
    options = {"weights": str(weights), "strategy": "full", "epochs": 2, "cache": "off", **SMALL}
    with pytest.raises(KeyboardInterrupt):
        graft.fit(table, out=run, callbacks=[Interrupt()], **options)
    shutil.rmtree(tmp_path / "cache" / "datasets")
    resumed = graft_cli("fit", "--resume", "--out", run)
    assert resumed.code == 0, resumed.err


class Interrupt(Callback):
    """Ctrl-C after the first epoch."""

    def on_epoch_end(self, trainer, line):
        raise KeyboardInterrupt


@pytest.mark.parametrize("flag", ["--per-class", "--limit-per-class"])
def test_so_many_images_of_each_class(graft_cli, tmp_path, weights, flag):
    root = write_photos(tmp_path / "photos", {"red": 12, "blue": 8})
    run = tmp_path / "run"
    outcome = graft_cli("fit", root, flag, 3, "--out", run, "--weights", weights, *FLAGS, "--json")
    assert planned(outcome)["train_images"] == 6
    manifest = Manifest.load(run / "split.csv")
    assert manifest.counts()["train"] == {"blue": 3, "red": 3}
    assert len(manifest.subset("val")) == 4
    assert yaml.safe_load((run / "recipe.yaml").read_text())["data"]["per_class"] == 3
    assert graft_cli("fit", "--resume", "--out", run).code == 0
    refused = graft_cli("fit", "--resume", "--out", run, "--per-class", 4)
    assert refused.code == 2
    assert "per_class = 3, not 4" in refused.err


def test_a_part_of_a_hub_dataset_is_asked_for_by_its_name(graft_cli):
    pytest.importorskip("datasets", reason="the extra [datasets] is not installed")
    outcome = graft_cli("fit", "hf:food101[:5000]", "--offline", *FLAGS)
    assert outcome.code == 4, outcome.err
    assert "Graft is offline and 'food101' is not in" in " ".join(outcome.err.split())
    outcome = graft_cli("fit", "hf:food101[5000:]", *FLAGS)
    assert outcome.code == 3
    assert "such as hf:food101[:5000]" in outcome.err


def test_a_limit_in_all(graft_cli, photos):
    document = planned(graft_cli("fit", photos, "--limit", 9, "--dry-run", "--json", *FLAGS))
    assert (document["train_images"], document["val_images"]) == (9, 15)
    assert document["test_images"] == 12


@pytest.mark.parametrize("policy", ["crop", "squash", "letterbox"])
def test_the_resize_policy_travels_with_the_model(graft_cli, photos, tmp_path, weights, policy):
    run = tmp_path / "run"
    options = ("--resize", policy, "--out", run, "--weights", weights, *FLAGS)
    assert graft_cli("fit", photos, *options).code == 0
    preprocess = Model.load(run).backbone.preprocess
    assert preprocess == Preprocess.from_dict(
        json.loads((run / "model" / "model.json").read_text())["backbone"]["preprocess"]
    )
    assert preprocess.crop == {"crop": "center"}.get(policy, policy)
    measured = planned(graft_cli("evaluate", run, photos, "--split", "val", "--json"))
    result = json.loads((run / "run.json").read_text())["result"]
    assert measured["accuracy"] == result["val_accuracy"]


def test_another_resize_policy_is_another_cache(graft_cli, photos, tmp_path, weights, monkeypatch):
    monkeypatch.setenv("GRAFT_CACHE", str(tmp_path / "cache"))
    for policy in ("squash", "letterbox"):
        run = tmp_path / policy
        options = ("--resize", policy, "--out", run, "--weights", weights, *FLAGS)
        assert graft_cli("fit", photos, *options).code == 0
    squash, letterbox = (
        Model.load(tmp_path / policy).head.state_dict() for policy in ("squash", "letterbox")
    )
    assert any((squash[name] != letterbox[name]).any() for name in squash)


def test_an_unknown_resize_policy_is_named(graft_cli, photos):
    outcome = graft_cli("fit", photos, "--resize", "stretch", *FLAGS)
    assert outcome.code == 2
    assert "stretch" in outcome.err
    assert "letterbox" in outcome.err
