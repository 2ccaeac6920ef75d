"""`graft demo`: an honest comparison on few images, that leaves nothing half-written."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

import graft
from graft.data.manifest import Manifest, Sample
from graft.errors import RecipeError, ResourceError
from graft.report.demo_table import verdict
from graft.run import Run
from graft.samples import SAMPLES
from graft.samples.hymenoptera import write_hymenoptera
from graft.workflows import demo as module
from graft.workflows.demo import COMPARED, DIGITS, DemoCallback, demo

TINY = {"per_class": 3, "val_per_class": 2, "epochs": 1, "image_size": 16}
"""Changes under which a demo takes a few seconds."""


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A small demo's document."""
    return demo(tmp_path_factory.mktemp("demo") / "d", **TINY)


def folder(document):
    return Path(document["out"])


def test_every_strategy_leaves_a_run_that_can_be_used(shown):
    assert [row["strategy"] for row in shown["strategies"]] == list(COMPARED)
    for row in shown["strategies"]:
        run = folder(shown) / row["strategy"]
        assert json.loads((run / "run.json").read_text())["state"] == "done"
        assert (run / "report.html").exists()
    assert graft.load(folder(shown) / "probe").classes == tuple("0123456789")


def test_all_learn_from_the_same_images_and_are_tested_on_the_same(shown):
    splits = {
        (folder(shown) / row["strategy"] / "split.csv").read_bytes() for row in shown["strategies"]
    }
    assert len(splits) == 1
    assert {row["test_images"] for row in shown["strategies"]} == {899}
    assert shown["data"]["images"] == {"train": 30, "val": 20, "test": 899}
    assert shown["data"]["doubts"] == [
        "Fewer than 5 training images of '0' (3), '1' (3), '2' (3), '3' (3), '4' (3), and 5 more."
    ]


def test_from_scratch_has_the_same_network_epochs_and_augmentation(shown):
    recipes = {
        name: (folder(shown) / name / "recipe.yaml").read_text().splitlines()
        for name in ("full", "scratch")
    }
    different = {line.strip() for line in set(recipes["full"]) ^ set(recipes["scratch"])}
    assert {line.partition(":")[0] for line in different} == {"name", "lr"}


def test_the_difference_is_counted_image_by_image(shown):
    def right(name):
        with (folder(shown) / name / "predictions.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
        return [row["label"] == row["prediction"] for row in rows]

    row = next(row for row in shown["strategies"] if row["strategy"] == "full")
    pairs = list(zip(right("full"), right("scratch"), strict=True))
    compared = row["against_scratch"]
    assert compared["right_only_here"] == pairs.count((True, False))
    assert compared["right_only_from_scratch"] == pairs.count((False, True))
    scratch = shown["strategies"][-1]
    assert compared["difference"] == pytest.approx(row["test_accuracy"] - scratch["test_accuracy"])
    assert compared["interval"][0] <= compared["difference"] <= compared["interval"][1]
    assert scratch["against_scratch"] is None


def test_copies_of_a_test_image_are_one_piece_of_evidence(tmp_path):
    def fitted(name, predictions):
        run = Run(tmp_path / name)
        run.folder.mkdir()
        samples = [
            Sample(f"/photos/{number:02}.png", "a", "test", sha256=str(number // 10) * 64)
            for number in range(20)
        ]
        Manifest(tuple(samples), root="/photos").save(run.manifest)
        rows = [f"{s.path},test,a,{p}" for s, p in zip(samples, predictions, strict=True)]
        run.predictions.write_text("\n".join(["path,split,label,prediction", *rows, ""]))
        return SimpleNamespace(run=run.folder)

    fits = {"full": fitted("full", "a" * 20), "scratch": fitted("scratch", "b" * 10 + "a" * 10)}
    [compared] = module._against_control(fits).values()
    # Ten copies of one image and ten of another: two images, of which one differs.
    assert compared["right_only_here"] == 1
    assert compared["difference"] == 0.5
    assert compared["p"] == 1.0
    assert not compared["distinguishable"]


def test_the_model_that_predicts_was_chosen_on_validation(shown):
    chosen = next(row for row in shown["strategies"] if row["strategy"] == shown["best"])
    assert chosen["val_accuracy"] == max(row["val_accuracy"] for row in shown["strategies"])
    assert [one["why"] for one in shown["predictions"][:3]] == ["drawn at random"] * 3
    classifier = graft.load(folder(shown) / shown["best"])
    for one in shown["predictions"]:
        [said] = classifier.predict(one["path"])
        assert (said.label, said.confidence) == (one["prediction"], one["confidence"])
        assert one["right"] == (one["label"] == said.label)


def test_the_image_and_the_document_are_written(shown):
    with Image.open(folder(shown) / "strategies.png") as image:
        assert image.width > 600
    assert json.loads((folder(shown) / "demo.json").read_text()) == shown
    assert shown["state"] == "done"
    assert not list(folder(shown).glob(".*"))


def test_a_folder_in_use_is_refused_and_the_default_is_the_next_free_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "graft-demo").mkdir()
    (tmp_path / "graft-demo" / "mine.txt").touch()
    with pytest.raises(RecipeError, match="not an empty folder"):
        demo("graft-demo")
    assert module._next_free().name == "graft-demo-2"


def test_an_interrupt_keeps_what_is_done_and_leaves_nothing_half(tmp_path):
    class Impatient(DemoCallback):
        def on_strategy_begin(self, strategy):
            if strategy == "partial":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo(tmp_path / "d", callback=Impatient(), **TINY)
    document = json.loads((tmp_path / "d/demo.json").read_text())
    assert document["state"] == "interrupted"
    assert [row["strategy"] for row in document["strategies"]] == ["probe"]
    assert sorted(p.name for p in (tmp_path / "d").iterdir()) == ["demo.json", "digits-m", "probe"]


def test_photographs_without_a_network_are_refused_before_anything_is_written(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("GRAFT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ResourceError, match="offline") as caught:
        demo(tmp_path / "d", photos=True, offline=True)
    assert "graft samples digits" in caught.value.remedy
    assert not (tmp_path / "d").exists()


def test_photographs_come_over_the_network_and_go_the_same_way(
    serve, weights, make_folder, tmp_path, monkeypatch
):
    photos = make_folder({"train/ants": 8, "train/bees": 8, "val/ants": 3, "val/bees": 3})
    (photos / "train/ants/imageNotFound.gif").write_bytes(b"GIF89a")
    archive = shutil.make_archive(str(tmp_path / "hymenoptera_data"), "zip", photos)
    url = f"{serve(Path(archive).read_bytes()).address}/hymenoptera_data.zip"
    fetch = partial(write_hymenoptera, url=url, sha256=None)
    monkeypatch.setitem(SAMPLES, "hymenoptera", replace(SAMPLES["hymenoptera"], write=fetch))
    monkeypatch.setenv("GRAFT_CACHE", str(tmp_path / "cache"))
    found = demo(
        tmp_path / "d",
        photos=True,
        backbone="squeezenet1_1",
        weights=str(weights),
        image_size=32,
        epochs=1,
    )
    assert found["data"]["images"] == {"train": 12, "val": 4, "test": 6}
    assert "imageNotFound.gif" in found["data"]["doubts"][0]
    assert [row["strategy"] for row in found["strategies"]] == list(COMPARED)
    assert json.loads((tmp_path / "d/full/run.json").read_text())["state"] == "done"


def test_of_the_photographs_the_given_validation_images_are_the_test(make_folder):
    from graft.data.scan import scan

    photos = make_folder({"train/ants": 10, "train/bees": 10, "val/ants": 4, "val/bees": 3})
    counts = module._with_test(scan(photos), seed=0).counts()
    assert counts == {
        "train": {"ants": 8, "bees": 8},
        "val": {"ants": 2, "bees": 2},
        "test": {"ants": 4, "bees": 3},
    }


def test_digits_are_never_mirrored():
    assert "flip" not in DIGITS.augment
    assert DIGITS.augment not in ("basic", "strong")


def compared(difference, low, high, p):
    return {
        "difference": difference,
        "interval": [low, high],
        "p_holm": p,
        "distinguishable": p < 0.05,
    }


@pytest.mark.parametrize(
    ("comparison", "words"),
    [
        (compared(0.05, 0.02, 0.08, 0.0001), "5.0 points better than from scratch"),
        (compared(-0.05, -0.08, -0.02, 0.0001), "5.0 points worse than from scratch"),
        (compared(0.01, -0.02, 0.04, 0.6), "no difference that these 99 test images can show"),
    ],
)
def test_the_verdict_says_what_the_images_can_show(comparison, words):
    row = {
        "strategy": "probe",
        "val_accuracy": 0.9,
        "test_images": 99,
        "kept_solved_head": False,
        "against_scratch": comparison,
    }
    control = {**row, "strategy": "scratch", "val_accuracy": 0.8, "against_scratch": None}
    assert words in " ".join(verdict({"best": "probe", "strategies": [row, control]}))
    said = " ".join(verdict({"best": "scratch", "strategies": [row, control]}))
    assert "pre-training does not help" in said
    assert words in said


@pytest.mark.slow
def test_in_the_real_demo_transfer_beats_training_from_scratch(tmp_path):
    document = demo(tmp_path / "d")
    assert document["data"]["doubts"] == []
    *transfer, _scratch = document["strategies"]
    assert document["best"] != "scratch"
    for row in transfer:
        if row["strategy"] in ("probe", "full"):
            assert row["against_scratch"]["interval"][0] > 0.05
            assert row["against_scratch"]["distinguishable"]
