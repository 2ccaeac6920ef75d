"""Promises of a run's last numbers: copies are no evidence, and many classes stay small."""

from __future__ import annotations

import csv
import json
import shutil

import pytest
import torch
from PIL import Image

import graft
from graft.errors import DataError, DivergedError
from graft.report.html import write_report
from graft.run import Run, read_lines
from tests.cli.conftest import graft_cli
from tests.workflows.conftest import write_photos

__all__ = ["graft_cli"]

TINY = {"backbone": "graft-small", "image_size": 16, "batch_size": 8, "augment": "none"}


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A run whose validation holds 8 distinct images, each ten times."""
    root = tmp_path_factory.mktemp("copies")
    counts = {f"{split}/{name}": 4 for split in ("train", "val") for name in ("red", "green")}
    for image in sorted((write_photos(root / "data", counts) / "val").rglob("*.png")):
        for number in range(9):
            shutil.copy(image, image.with_name(f"{image.stem} copy {number}.png"))
    return root / "data", graft.fit(root / "data", out=root / "run", **TINY)


def test_eight_images_ten_times_each_count_as_eight(copied):
    data, fitted = copied
    result = fitted.result
    assert (result["val_images"], result["val_distinct_images"]) == (80, 8)
    assert result["val_accuracy"] == 1.0
    assert result["val_interval"] == pytest.approx([0.6756, 1.0], abs=1e-4)
    assert result["diagnosis"]["verdict"] == "undecided"
    assert "8 distinct validation images" in result["diagnosis"]["evidence"]
    found = graft.evaluate(fitted.run, data, split="val")
    assert (found["images"], found["distinct_images"]) == (80, 8)
    assert found["interval"] == result["val_interval"]
    assert found["per_class"]["red"]["interval"] == pytest.approx([0.5101, 1.0], abs=1e-4)
    page = write_report(fitted.run).read_text()
    assert "80 validation images (8 distinct) right, 95% interval of the distinct 67.6" in page


def test_outputs_that_are_not_numbers_are_named_by_evaluate_and_predict(copied):
    data, fitted = copied
    broken = graft.load(fitted.run)
    with torch.no_grad():
        broken.head.linear.bias.fill_(float("nan"))
    with pytest.raises(DataError, match="NaN or infinite"):
        graft.evaluate(broken, data, split="val")
    with pytest.raises(DataError, match="NaN or infinite"):
        list(graft.predict(broken, [data / "val"]))
    with pytest.raises(DataError, match="NaN or infinite"):
        broken.predict(data / "val/red/00.png")


def test_outputs_that_are_not_numbers_are_named_by_fit(copied, tmp_path):
    data, _ = copied
    huge = {"lr": 1e30, "strategy": "full", "epochs": 1, "head_start": "random"}
    with pytest.raises(DivergedError) as caught:
        graft.fit(data, out=tmp_path / "run", **TINY, **huge)
    assert caught.value.exit_code == 5
    assert Run.open(tmp_path / "run").state()["state"] == "failed"


def test_of_more_than_100_classes_the_files_hold_what_occurs(tmp_path):
    counts = {f"{split}/c{number:03}": 2 for split in ("train", "val") for number in range(101)}
    fitted = graft.fit(write_photos(tmp_path / "data", counts), out=tmp_path / "run", **TINY)
    validation = Run.open(fitted.run).state()["validation"]
    assert validation["confusion"] is None
    assert sum(times for _, _, times in validation["confusion_pairs"]) == 202
    with (fitted.run / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 202
    assert len(rows[0]) == 6 + 2 * 5
    for row in rows:
        assert (row["class 1"], row["p 1"]) == (row["prediction"], row["confidence"])
        shares = [float(row[f"p {rank}"]) for rank in range(1, 6)]
        assert shares == sorted(shares, reverse=True)
    assert (
        "the 24 of 101 classes with the most mistakes" in (fitted.run / "report.html").read_text()
    )
    json.dumps(fitted.result, allow_nan=False)


@pytest.mark.parametrize("strategy", ["probe", "full"])
def test_black_images_end_in_an_honest_warning(tmp_path, strategy):
    for split in ("train", "val"):
        for label, count in (("left", 4), ("right", 2)):
            folder = tmp_path / "data" / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                size = (20 + number, 20 + 7 * len(split) + len(label))
                Image.new("RGB", size).save(folder / f"{number}.png")
    fitted = graft.fit(tmp_path / "data", out=tmp_path / "run", strategy=strategy, epochs=1, **TINY)
    assert fitted.result["val_accuracy"] == pytest.approx(2 / 3)
    assert any("tells nothing apart" in warning for warning in fitted.result["warnings"])
    [said] = fitted.classifier.predict(tmp_path / "data/val/right/0.png")
    if strategy == "probe":
        assert said.confidence == pytest.approx(2 / 3, abs=1e-3)


def test_a_test_that_is_another_problem_than_validation_is_named_in_one_line(tmp_path):
    counts = {f"{split}/{name}": 12 for split in ("train", "val") for name in ("red", "green")}
    data = write_photos(tmp_path / "data", counts)
    alike = write_photos(tmp_path / "test", {"red": 12, "green": 12}, seed=1)
    for name, other in (("red", "green"), ("green", "red")):
        shutil.copytree(alike / name, data / "test" / name)
        shutil.copytree(alike / name, tmp_path / "swapped" / other)
    same = graft.fit(data, out=tmp_path / "same", **TINY).result
    assert not [line for line in same["warnings"] if "by more than chance" in line]

    shutil.rmtree(data / "test")
    shutil.copytree(tmp_path / "swapped", data / "test")
    fitted = graft.fit(data, out=tmp_path / "other", **TINY)
    [line] = [line for line in fitted.result["warnings"] if "by more than chance" in line]
    assert "of 24 distinct validation images" in line
    assert "worse than validation" in line
    assert "by more than chance" in (fitted.run / "report.html").read_text()


WRECKING = {"strategy": "full", "epochs": 2, "lr": 0.2, "schedule": "constant"}
"""Options under which no epoch is as good as the solved head that it begins with."""


@pytest.fixture(scope="module")
def stripes(tmp_path_factory):
    """Two classes of noise with a pattern that frozen features see, and a wrecked network not."""
    counts = {f"{split}/{name}": 12 for split in ("train", "val") for name in ("red", "green")}
    return write_photos(tmp_path_factory.mktemp("stripes"), counts)


def test_a_run_that_keeps_its_solved_head_says_what_fine_tuning_gave_and_what_was_trained(
    stripes, tmp_path, graft_cli
):
    options = [
        f"--{name.replace('_', '-')}={value}" for name, value in {**TINY, **WRECKING}.items()
    ]
    done = graft_cli("fit", stripes, "--out", tmp_path / "run", "--json", *options)
    result = json.loads(done.out)
    solved, tuned = result["candidates"]
    assert (solved["name"], solved["epoch"]) == ("solved head", 0)
    assert tuned["name"] == "fine-tuned"
    assert tuned["val_accuracy"] < solved["val_accuracy"] == result["val_accuracy"]
    assert (result["kept"], result["best_epoch"]) == ("solved head", 0)
    head = result["plan"]["phases"][0]["trainable_parameters"]
    assert result["trainable_parameters"] == head
    assert f"trained {head:,} of" in done.err
    assert "; kept: solved head" in done.err
    assert f"fine-tuned, epoch {tuned['epoch']}" in done.err
    page = (tmp_path / "run/report.html").read_text()
    assert f"fine-tuned, epoch {tuned['epoch']}" in page
    assert '<span class="tag">kept</span>' in page


@pytest.mark.parametrize("keep", ["fine-tuned", "last"])
def test_keep_takes_the_fine_tuned_or_the_last_epoch_and_evaluate_gives_its_number(
    stripes, tmp_path, keep
):
    fitted = graft.fit(stripes, out=tmp_path / "run", keep=keep, **TINY, **WRECKING)
    result = fitted.result
    assert result["best_epoch"] > 0
    kept = [row for row in result["candidates"] if row["name"] == result["kept"]]
    assert [row["val_accuracy"] for row in kept] == [result["val_accuracy"]]
    assert result["val_accuracy"] < result["candidates"][0]["val_accuracy"]
    assert result["trainable_parameters"] == sum(fitted.classifier.count_parameters().values())
    found = graft.evaluate(fitted.run, stripes, split="val")
    assert found["accuracy"] == result["val_accuracy"]
    again = graft.fit(config=fitted.run / "recipe.yaml", out=tmp_path / "again")
    assert again.result["kept"] == result["kept"]


def test_every_epoch_has_a_training_accuracy_to_draw(stripes, tmp_path):
    fitted = graft.fit(
        stripes, out=tmp_path / "run", head_start="random", **{**TINY, **WRECKING, "lr": 1e-3}
    )
    lines = list(read_lines(fitted.run / "metrics.jsonl"))
    assert all(0 <= line["train_accuracy"] <= 1 for line in lines)
    assert [row["name"] for row in fitted.result["candidates"]] == ["trained"]


@pytest.fixture(scope="module")
def leaking(tmp_path_factory):
    """Eight test images: four are in training, two in validation, and two new ones are mislabelled.

    Half of the copies are the same file, and half the same pixels in another one.
    """
    root = tmp_path_factory.mktemp("leaking")
    counts = {f"{split}/{name}": 6 for split in ("train", "val") for name in ("red", "green")}
    write_photos(root, counts)
    write_photos(root / "new", {"red": 1, "green": 1}, seed=9)
    for name, other in (("red", "green"), ("green", "red")):
        folder = root / "test" / name
        folder.mkdir(parents=True)
        shutil.copy(root / f"train/{name}/00.png", folder / "a.png")
        Image.open(root / f"train/{name}/01.png").save(folder / "b.bmp")
        Image.open(root / f"val/{name}/02.png").save(folder / "c.bmp")
        shutil.copy(root / f"new/{other}/00.png", folder / "new.png")
    shutil.rmtree(root / "new")
    return root


def test_test_images_that_took_part_in_training_are_not_in_the_headline(
    leaking, tmp_path, graft_cli
):
    options = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]
    done = graft_cli("fit", leaking, "--out", tmp_path / "run", "--json", *options)
    result = json.loads(done.out)
    assert (result["test_images"], result["test_excluded"]) == (8, 6)
    assert result["test_accuracy"] == 0.0, "both new images are mislabelled"
    assert result["test_with_leaks"]["accuracy"] == pytest.approx(6 / 8)
    assert result["test_with_leaks"]["images"] == 8
    said = " ".join(done.err.split())
    assert "Left out: 6 of 8 test images" in said
    assert said.index("0.0% of 2 test images right") < said.index("it would be 75.0%")
    page = (tmp_path / "run/report.html").read_text()
    assert "of 2 test images right" in page
    assert "with them it would be 75.0%" in page
    assert any(
        warning.startswith("Leak: 6 of 8 test images also in training or validation")
        for warning in result["warnings"]
    )
    found = graft.evaluate(tmp_path / "run", leaking)
    assert (found["accuracy"], found["images"], found["excluded"]) == (0.0, 2, 6)
    assert found["with_leaks"]["accuracy"] == pytest.approx(6 / 8)
    evaluated = graft_cli("evaluate", tmp_path / "run", leaking)
    assert "with them it would be 75.0%" in evaluated.err


def test_where_every_test_image_took_part_in_training_there_is_no_test_score(
    leaking, tmp_path, graft_cli
):
    root = shutil.copytree(leaking, tmp_path / "data")
    for path in root.glob("test/*/new.png"):
        path.unlink()
    fitted = graft.fit(root, out=tmp_path / "run", **TINY)
    result = fitted.result
    assert (result["test_accuracy"], result["test_interval"]) == (None, None)
    assert result["test_excluded"] == result["test_images"] == 6
    assert result["test_with_leaks"]["accuracy"] == 1.0
    page = (fitted.run / "report.html").read_text()
    assert "All 6 test images are also in training or validation" in page
    with pytest.raises(DataError, match="Every test image"):
        graft.evaluate(fitted.run, root)


def test_validation_images_that_are_also_in_training_are_named_with_the_number_without_them(
    stripes, tmp_path
):
    root = shutil.copytree(stripes, tmp_path / "data")
    for name in ("red", "green"):
        for number in range(3):
            image = root / f"train/{name}/{number:02}.png"
            Image.open(image).save(root / f"val/{name}/{number:02}.bmp")
    result = graft.fit(root, out=tmp_path / "run", **TINY).result
    assert result["val_leaked"] == 6
    assert result["val_without_leaks"]["images"] == 24
    right = result["val_accuracy"] * 30 - 6
    assert result["val_without_leaks"]["accuracy"] == pytest.approx(right / 24)
    assert (
        "6 of them are also in training; without these"
        in (tmp_path / "run/report.html").read_text()
    )
