"""Promises of runs whose task is not classification: several labels, and a number, per image."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import graft
from graft.cli.main import main
from graft.errors import DataError, RecipeError
from graft.report.html import write_report
from graft.run import Run

TINY = {"backbone": "graft-small", "image_size": 16, "batch_size": 8, "augment": "none"}


def write_table(path: Path, column: str, rows: list[tuple[str, object, str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("path", column, "split"), *rows])
    return path


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> dict[str, Path]:
    """60 images, of which a table tells the labels, and another the mean brightness."""
    root, rng = tmp_path_factory.mktemp("tables"), np.random.default_rng(0)
    labels, values = [], []
    for number in range(60):
        colour = rng.uniform(60, 195, 3)
        pixels = rng.normal(colour, 20, (20, 24, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / f"{number:02}.png")
        split = {0: "test", 1: "val"}.get(number % 4, "train")
        found = {"warm": colour[0] > colour[2], "bright": colour.mean() > 127}
        said = [name for name, has in found.items() if has]
        labels.append((f"{number:02}.png", ";".join(said), split))
        values.append((f"{number:02}.png", 1000 + 10 * float(pixels.mean()), split))
    return {
        "multilabel": write_table(root / "labels.csv", "labels", labels),
        "regression": write_table(root / "value.csv", "value", values),
    }


@pytest.fixture(scope="module")
def runs(tables, tmp_path_factory) -> dict[str, graft.Fit]:
    out = tmp_path_factory.mktemp("runs")
    return {task: graft.fit(table, out=out / task, **TINY) for task, table in tables.items()}


METRICS = {"multilabel": "mAP", "regression": "R2"}


@pytest.mark.parametrize("task", METRICS)
def test_the_document_names_the_task_and_its_score_and_has_no_accuracy(runs, task):
    fitted = runs[task]
    result, state = fitted.result, Run.open(fitted.run).state()
    assert (result["task"], result["metric"]) == (task, METRICS[task])
    assert result["val_score"] == state["validation"][METRICS[task]]
    assert result["test_score"] == state["test"][METRICS[task]]
    assert result["val_interval"][0] < result["val_score"] < result["val_interval"][1] + 1e-9
    line = json.loads((fitted.run / "metrics.jsonl").read_text().splitlines()[0])
    assert (line["val_score"], line["metric"]) == (result["val_score"], METRICS[task])
    written = json.dumps([result, state, line])
    assert "accuracy" not in written
    assert result["diagnosis"]["val_score"] == result["val_score"]


@pytest.mark.parametrize("task", METRICS)
def test_evaluate_predict_and_the_run_agree_to_the_last_bit(runs, tables, task):
    fitted = runs[task]
    found = graft.evaluate(fitted.run, tables[task])
    assert found["split"] == "test"
    assert (found[METRICS[task]], found["loss"]) == (
        fitted.result["test_score"],
        Run.open(fitted.run).state()["test"]["loss"],
    )
    with (fitted.run / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 30
    said = graft.load(fitted.run).predict([row["path"] for row in rows])
    if task == "regression":
        assert [one.value for one in said] == [float(row["prediction"]) for row in rows]
        assert all(
            float(row["residual"]) == float(row["prediction"]) - float(row["value"]) for row in rows
        )
    else:
        assert [one.label for one in said] == [row["prediction"] for row in rows]
        assert [dict(one.top)["warm"] for one in said] == [float(row["p(warm)"]) for row in rows]


def test_thresholds_chosen_on_validation_travel_with_the_model(runs):
    fitted = runs["multilabel"]
    task = graft.load(fitted.run).task
    assert task.labels == ("bright", "warm")
    validation = Run.open(fitted.run).state()["validation"]["per_label"]
    assert list(task.thresholds) == [validation[name]["threshold"] for name in task.labels]
    assert task == fitted.classifier.task


@pytest.mark.parametrize("task", METRICS)
def test_gradient_training_learns_and_resumes_to_the_same_bits(tables, task, tmp_path):
    class Stop(graft.Callback):
        def on_epoch_end(self, trainer, line):
            if line["epoch"] == 1:
                raise KeyboardInterrupt

    options = {**TINY, "strategy": "partial", "epochs": 3, "head_start": "random", "lr": 0.01}
    whole = graft.fit(tables[task], out=tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        graft.fit(tables[task], out=tmp_path / "cut", **options, callbacks=[Stop()])
    resumed = graft.fit(out=tmp_path / "cut", resume=True)
    assert resumed.result["val_score"] == whole.result["val_score"]
    for one, other in zip(
        resumed.classifier.parameters(), whole.classifier.parameters(), strict=True
    ):
        assert torch.equal(one, other)
    lines = [json.loads(line) for line in (whole.run / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["train_loss"] < lines[0]["train_loss"]
    assert whole.classifier.task == resumed.classifier.task


def test_the_report_of_labels_has_a_row_for_each(runs):
    page = write_report(runs["multilabel"].run).read_text()
    assert "Each label, the least recognised first" in page
    assert "average precision" in page
    assert "mAP 0." in page or "mAP 1." in page
    assert "accuracy" not in page


def test_the_report_of_numbers_draws_predicted_against_true_and_lists_residuals(runs):
    page = write_report(runs["regression"].run).read_text()
    assert "Predicted against true values" in page
    assert "nine of ten within" in page
    assert "MAE " in page
    assert "accuracy" not in page


def test_a_folder_of_classes_is_not_read_as_another_task(make_folder, tmp_path):
    folder = make_folder({"ants": 5, "bees": 5})
    with pytest.raises(RecipeError, match=r"--task multilabel was asked for.*a class for each"):
        graft.fit(folder, task="multilabel", out=tmp_path / "run", **TINY)
    assert not (tmp_path / "run").exists()


def test_a_table_with_the_columns_of_two_tasks_is_read_as_the_task_says(tables, tmp_path):
    rows = list(csv.reader(tables["regression"].open(newline="")))[1:]
    both = tables["regression"].with_name("both.csv")
    with both.open("w", newline="") as file:
        named = [(path, value, "a" if n % 2 else "b") for n, (path, value, _) in enumerate(rows)]
        csv.writer(file).writerows([("path", "value", "label"), *named])
    with pytest.raises(DataError, match="different tasks"):
        graft.scan(both)
    assert graft.scan(both, task="regression").task == "regression"
    assert graft.scan(both, task="classification").task == "classification"


@pytest.mark.parametrize(
    ("option", "what"),
    [
        ({"mixup": 0.2}, "--mixup"),
        ({"class_weights": "balanced"}, "--class-weights"),
        ({"label_smoothing": 0.2}, "--label-smoothing"),
    ],
)
def test_options_that_mean_nothing_for_numbers_are_refused(tables, tmp_path, option, what):
    with pytest.raises(RecipeError, match=what):
        graft.fit(tables["regression"], out=tmp_path / "run", **TINY, **option)
    assert not (tmp_path / "run").exists()


def test_a_model_is_not_measured_on_a_table_of_another_task(runs, tables):
    with pytest.raises(DataError, match=r"does multilabel, and .* is labelled for regression"):
        graft.evaluate(runs["multilabel"].run, tables["regression"])


def test_labels_that_the_model_does_not_know_are_named(runs, tables):
    path = next(iter(tables["multilabel"].parent.glob("*.png")))
    table = write_table(tables["multilabel"].with_name("odd.csv"), "labels", [(path, "furry", "")])
    with pytest.raises(DataError, match="'furry', a label of"):
        graft.evaluate(runs["multilabel"].run, table)


def test_numbers_that_are_all_equal_leave_r2_undefined_and_say_so(runs, tables):
    paths = sorted(tables["regression"].parent.glob("*.png"))[:3]
    rows = [(path, 2.5, "") for path in paths]
    table = write_table(tables["regression"].with_name("equal.csv"), "value", rows)
    found = graft.evaluate(runs["regression"].run, table)
    assert found["R2"] is None
    assert "all 3 images have the value 2.5" in found["undefined"]
    assert found["MAE"] > 0


def test_the_command_line_prints_the_keys_of_each_task(runs, tables, capfd):
    image = str(tables["regression"].parent / "00.png")
    for task, keys in {
        "multilabel": ["path", "label", "confidence", "labels", "top"],
        "regression": ["path", "value"],
    }.items():
        with pytest.raises(SystemExit) as ended:
            main(["predict", str(runs[task].run), image, "--json"])
        assert not ended.value.code
        assert list(json.loads(capfd.readouterr().out)) == keys
        with pytest.raises(SystemExit):
            main(["evaluate", str(runs[task].run), str(tables[task])])
        assert f"{METRICS[task]} " in capfd.readouterr().err
