"""Labels and numbers of real photographs, against scikit-learn on the same features."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegressionCV, Ridge, RidgeCV
from sklearn.metrics import average_precision_score, r2_score
from sklearn.model_selection import KFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import graft
from graft.inference import run
from graft.run import Run

PER_CLASS = 60


@pytest.fixture(scope="module")
def flowers(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """300 photographs: the flower, whether it is warm and bright, and the mean brightness."""
    root = tmp_path_factory.mktemp("flowers")
    found = [
        path
        for folder in sorted((shared / "data/flowers").iterdir())
        for path in sorted(folder.iterdir())[:PER_CLASS]
    ]
    colours = np.array(
        [
            np.asarray(Image.open(p).convert("RGB").resize((32, 32))).mean((0, 1)) / 255
            for p in found
        ]
    )
    red, value = colours[:, 0] / colours.sum(axis=1), colours.mean(axis=1) / 255
    planted = {"warm": red > np.median(red), "bright": value > np.median(value)}
    rows: dict[str, list[tuple[object, object, str]]] = {"labels": [], "value": []}
    for number, path in enumerate(found):
        split = {0: "test", 1: "val"}.get(number % 5, "train")
        names = [path.parent.name, *(name for name, has in planted.items() if has[number])]
        rows["labels"].append((path, ";".join(names), split))
        rows["value"].append((path, float(value[number]), split))
    for column, each in rows.items():
        with (root / f"{column}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("path", column, "split"), *each])
    return {column: root / f"{column}.csv" for column in rows}


def fitted(shared: Path, table: Path, out: Path) -> tuple[graft.Fit, dict[str, np.ndarray]]:
    """Fit a solved head, and return the run with features and targets of training and test."""
    weights = shared / "weights/squeezenet1_1.safetensors"
    options = {"backbone": "squeezenet1_1", "weights": str(weights), "image_size": 128}
    result = graft.fit(table, out=out, augment="none", **options)
    manifest, arrays = graft.Manifest.load(Run.open(result.run).manifest), {}
    for split in ("train", "test"):
        loader = result.classifier.loader(manifest.subset(split))
        arrays[split] = run(result.classifier.body, loader).values.double().numpy()
        arrays[f"{split} targets"] = loader.targets.numpy()
    return result, arrays


@pytest.mark.slow
def test_labels_of_photographs_are_found_as_well_as_by_scikit_learn(shared, flowers, tmp_path):
    found, arrays = fitted(shared, flowers["labels"], tmp_path / "run")
    one = LogisticRegressionCV(Cs=np.logspace(-4, 1, 11), scoring="neg_log_loss", max_iter=2000)
    theirs = make_pipeline(StandardScaler(), OneVsRestClassifier(one))
    theirs.fit(arrays["train"], arrays["train targets"].astype(int))
    expected = average_precision_score(
        arrays["test targets"], theirs.predict_proba(arrays["test"]), average="macro"
    )
    assert found.result["test_score"] == pytest.approx(expected, abs=0.03)
    guessed = arrays["test targets"].mean()
    assert found.result["test_score"] > guessed + 0.2
    gradient = {"backbone": str(found.run), "strategy": "partial", "epochs": 2}
    assert graft.fit(flowers["labels"], out=tmp_path / "on", **gradient).result["val_score"] > 0.6


@pytest.mark.slow
def test_numbers_of_photographs_are_found_as_well_as_by_scikit_learn(shared, flowers, tmp_path):
    found, arrays = fitted(shared, flowers["value"], tmp_path / "run")
    penalty = 1 / found.result["probe"]["C"]
    choices = np.logspace(-4, 7, 45)
    shuffled = KFold(5, shuffle=True, random_state=0)
    same, own = (
        make_pipeline(StandardScaler(), ridge).fit(arrays["train"], arrays["train targets"])
        for ridge in (Ridge(penalty), RidgeCV(choices, cv=shuffled))
    )
    ours = found.result["test_score"]
    expected, chosen = (
        r2_score(arrays["test targets"], each.predict(arrays["test"])) for each in (same, own)
    )
    assert ours == pytest.approx(expected, abs=0.005)
    assert ours > chosen - 0.05  # by its own folds scikit-learn may choose another penalty
    assert ours > 0.3
