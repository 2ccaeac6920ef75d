"""Without `--backbone`: which network is taken, by what rule, and what the network is asked."""

from __future__ import annotations

import hashlib
import io
import socket
from dataclasses import replace

import pytest
import torch
from tests.http_server import Answer
from tests.workflows.conftest import SMALL

import graft
from graft.backbones.build import build
from graft.backbones.providers import find_provider, torchvision
from graft.config import read_yaml, resolve
from graft.run import Run
from graft.strategies.priors import PRIORS
from graft.training import Callback
from graft.workflows.fit import plan_only
from graft.zoo import choose
from graft.zoo.catalogue import all_entries, find
from graft.zoo.choose import (
    GAIN,
    SECONDS,
    USUAL,
    choose_for_images,
    resolve_backbone,
)
from graft.zoo.machine import Machine
from graft.zoo.suggest import seconds_for

LAPTOP = Machine(cores=8, memory=16 * 1024**3, accelerator=None, speed=2e11)
SERVER = Machine(cores=32, memory=80 * 1024**3, accelerator="GPU", speed=2e13)
BOARD = Machine(cores=4, memory=1024**3, accelerator=None, speed=5e9)
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
    """An empty cache of weights, and a hub that refuses connections."""
    home = tmp_path_factory.mktemp("torch")
    monkeypatch.setenv("TORCH_HOME", str(home))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        point_to(monkeypatch, f"http://127.0.0.1:{unused.getsockname()[1]}")
        yield home / "hub" / "checkpoints"


def point_to(monkeypatch, address, suffix=HASH):
    """Let all published weights come from an address, as files named `<model>-<hash>.pth`."""
    entries = tuple(
        replace(entry, url=f"{address}/{entry.name.partition(':')[2]}-{suffix}.pth")
        for entry in all_entries()
    )
    monkeypatch.setattr(choose, "all_entries", lambda: entries)


def keep(hub, *names, content=CONTENT):
    """Put weights into the cache."""
    hub.mkdir(parents=True, exist_ok=True)
    for name in names:
        (hub / f"{name}-{HASH}.pth").write_bytes(content)


def chosen(images=244, machine=LAPTOP, recipe=RECIPE, **options):
    return choose_for_images(recipe, images, machine=machine, **options)


def test_the_facts_name_the_files_that_are_fetched():
    for entry in all_entries():
        if entry.provider == "torchvision" and entry.family in USUAL:
            name = entry.name.partition(":")[2]
            assert torchvision.model_info(name, None, None, None).provenance.source == entry.url


@pytest.mark.parametrize("machine", [LAPTOP, SERVER, BOARD])
@pytest.mark.parametrize("images", [4, 244, 4_317, 50_000])
def test_the_most_accurate_usual_network_that_is_quick_here_is_fetched(images, machine):
    entry = find(chosen(images, machine, fetch=False).name)
    assert entry.family in USUAL
    assert "prototype" in entry.suits
    rivals = [
        other
        for other in all_entries()
        if other.provider == "torchvision"
        and other.family in USUAL
        and "prototype" in other.suits
        and seconds_for(other, images, PRIORS[0], machine) <= SECONDS
    ]
    if rivals:
        assert entry.top1 == max(other.top1 for other in rivals)
    else:
        assert entry.name == "torchvision:mobilenet_v3_small"


def test_smaller_images_are_quicker_and_allow_a_better_network():
    small = chosen(20_000, recipe=resolve({"image_size": 64}), fetch=False)
    assert find(small.name).top1 > find(chosen(20_000, fetch=False).name).top1


def test_weights_in_the_cache_win_over_a_small_gain(hub):
    keep(hub, "resnet50", "alexnet")
    best = find(chosen(fetch=False).name)
    assert find("efficientnet_b3").top1 - find("resnet50").top1 < GAIN
    assert best.name == "torchvision:resnet50"
    assert "in the cache" in chosen().message


def test_a_large_gain_is_worth_a_download(hub):
    keep(hub, "alexnet", "mobilenet_v2")
    assert chosen(fetch=False).name == "efficientnet_b3"


def test_what_is_chosen_is_fetched_once(serve, hub, monkeypatch):
    site = serve(CONTENT)
    point_to(monkeypatch, site.address)

    first = chosen()
    second = chosen()

    assert first.name == second.name == "efficientnet_b3"
    assert (hub / f"efficientnet_b3-{HASH}.pth").read_bytes() == CONTENT
    assert len(site.asked) == 1
    assert "47 MB to fetch once" in first.message
    assert "in the cache" in second.message


def test_where_the_hub_refuses_the_best_in_the_cache_is_taken(hub):
    keep(hub, "alexnet", "mobilenet_v2")
    found = chosen()
    assert found.name == "mobilenet_v2"
    assert "127.0.0.1 cannot be reached" in found.message
    assert not found.fallback


def test_where_there_is_nothing_the_shipped_network_is_taken_in_one_line():
    found = chosen()
    assert found.name == "graft-small"
    assert found.fallback
    assert found.message == (
        "Backbone: graft-small, which ships with Graft: no published weights are in the cache and "
        "127.0.0.1 cannot be reached. For photographs, efficientnet_b3 with a network, or "
        "--weights FILE, is likely to be much better."
    )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(status=404), "404"),
        (Answer(sent=10), "only 10 of"),
        (Answer(stalls=True, sent=10), ""),
    ],
)
def test_a_download_that_fails_falls_back(serve, monkeypatch, answer, reason):
    monkeypatch.setattr(choose, "TIMEOUT", 0.2)
    monkeypatch.setattr("graft.download.PAUSE", 0.0)
    point_to(monkeypatch, serve(CONTENT, answer).address)
    found = chosen()
    assert found.name == "graft-small"
    assert "could not be fetched from 127.0.0.1" in found.message
    assert reason in found.message


def test_what_comes_damaged_is_not_used(serve, monkeypatch, hub):
    point_to(monkeypatch, serve(b"something else").address)
    assert chosen().name == "graft-small"
    assert not list(hub.glob("*.pth"))


def test_a_damaged_file_in_the_cache_is_passed_over(hub):
    keep(hub, "resnet50", content=b"half")
    keep(hub, "mobilenet_v2")
    assert chosen().name == "mobilenet_v2"


def test_offline_nothing_is_asked(serve, monkeypatch, hub):
    site = serve(CONTENT)
    point_to(monkeypatch, site.address)
    recipe = resolve({"offline": True})
    assert chosen(recipe=recipe).name == "graft-small"
    assert "Graft is offline" in chosen(recipe=recipe).message
    keep(hub, "mobilenet_v2")
    assert chosen(recipe=recipe).name == "mobilenet_v2"
    assert site.asked == []


def test_slow_weights_in_the_cache_are_better_than_none_up_to_a_limit(hub):
    keep(hub, "resnet50")
    assert chosen(10_000).name == "resnet50"
    found = chosen(1_000_000)
    assert found.name == "graft-small"
    assert "too slow for so many images" in found.message


def test_with_an_image_size_only_networks_that_take_any_are_chosen(hub):
    keep(hub, "vit_b_16", "mobilenet_v2")
    recipe = resolve({"image_size": 100, "offline": True})
    assert chosen(100, recipe=recipe).name == "mobilenet_v2"
    assert chosen(100, recipe=resolve({"offline": True})).name == "vit_b_16"


def test_a_licence_that_forbids_commercial_use_is_not_taken(hub):
    keep(hub, "vit_h_14")
    assert chosen(1, SERVER).name == "graft-small"


def test_from_scratch_the_shipped_network_is_taken():
    recipe, choice = resolve_backbone(
        resolve({"strategy": "scratch"}), lambda: pytest.fail("asked")
    )
    assert recipe.backbone.name == "graft-small"
    assert "random weights" in choice.message


def test_a_backbone_that_was_named_is_kept():
    recipe = resolve({"backbone": "resnet18"})
    assert resolve_backbone(recipe, lambda: pytest.fail("asked")) == (recipe, None)


def test_a_run_says_records_and_repeats_its_choice(photos, tmp_path):
    ear = Ear()
    run = graft.fit(photos, out=tmp_path / "a", callbacks=[ear], **OWN_SIZE)
    assert run.result["backbone"] == "graft:graft-small"
    assert sum("graft-small" in words for words in ear.said) == 1
    assert any("graft-small" in words for words in run.result["warnings"])
    recipe = run.run / "recipe.yaml"
    assert read_yaml(recipe)["backbone"]["name"] == "graft-small"
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
    keep(hub, "efficientnet_b3")
    done = graft.fit(photos, resume=True, out=tmp_path / "a", **flags)
    assert done.result["backbone"] == "graft:graft-small"
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


def test_a_dry_run_asks_nothing_of_the_network(serve, monkeypatch, photos):
    site = serve(CONTENT)
    point_to(monkeypatch, site.address)
    document = plan_only(photos)
    assert document["backbone"].startswith("torchvision:")
    assert "Backbone: " in document["choice"]
    assert site.asked == []


def test_a_fetched_network_is_used_by_the_run(serve, monkeypatch, photos, tmp_path):
    network = build(find_provider("torchvision"), {"name": "efficientnet_b3", "options": {}})
    buffer = io.BytesIO()
    torch.save(network.state_dict(), buffer)
    content = buffer.getvalue()
    site = serve(content)
    point_to(monkeypatch, site.address, hashlib.sha256(content).hexdigest()[:8])
    monkeypatch.setattr(
        torchvision,
        "cached_download",
        lambda url: choose.cached_download(
            next(entry.url for entry in choose.all_entries() if "efficientnet_b3" in entry.url)
        ),
    )
    monkeypatch.setattr(choose, "this_machine", lambda: LAPTOP)
    run = graft.fit(photos, out=tmp_path / "a", **OWN_SIZE)
    assert run.result["backbone"] == "torchvision:efficientnet_b3"
    assert len(site.asked) == 1
    assert read_yaml(run.run / "recipe.yaml")["backbone"]["name"] == "efficientnet_b3"
