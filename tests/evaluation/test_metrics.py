"""Promises of the numbers about a model."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from graft.evaluation.metrics import mean_loss, metrics

NAMES = ["ants", "bees", "wasps"]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40))
def test_every_number_follows_from_counting(pairs):
    labels = torch.tensor([truth for truth, _ in pairs])
    logits = torch.nn.functional.one_hot(torch.tensor([said for _, said in pairs]), 3).float()
    found = metrics(logits, labels, NAMES)
    assert found["accuracy"] == pytest.approx(sum(t == s for t, s in pairs) / len(pairs))
    for row, name in enumerate(NAMES):
        counts = [sum((t, s) == (row, column) for t, s in pairs) for column in range(3)]
        assert found["confusion"][row] == counts
        scores, support = found["per_class"][name], sum(counts)
        assert scores["support"] == support
        if support:
            assert scores["recall"] == pytest.approx(counts[row] / support)
            said = sum(s == row for _, s in pairs)
            assert scores["precision"] == pytest.approx(counts[row] / said if said else 0)
        else:
            assert scores["recall"] is None
    present = [s["f1"] for s in found["per_class"].values() if s["f1"] is not None]
    assert found["macro_f1"] == pytest.approx(sum(present) / len(present))
    low, high = found["interval"]
    assert 0 <= low <= found["accuracy"] <= high + 1e-12
    json.dumps(found, allow_nan=False)


@settings(deadline=None)
@given(st.data(), st.integers(2, 7))
def test_scikit_learn_finds_the_same_scores(data, classes):
    pairs = data.draw(
        st.lists(st.tuples(*[st.integers(0, classes - 1)] * 2), min_size=1, max_size=60)
    )
    truth, said = (list(side) for side in zip(*pairs, strict=True))
    logits = torch.nn.functional.one_hot(torch.tensor(said), classes).float()
    names = [f"class {number}" for number in range(classes)]
    found = metrics(logits, torch.tensor(truth), names)
    everyone = list(range(classes))
    assert found["confusion"] == confusion_matrix(truth, said, labels=everyone).tolist()
    expected = precision_recall_fscore_support(truth, said, labels=everyone, zero_division=0)
    for name, precision, recall, f1, support in zip(names, *expected, strict=True):
        scores = found["per_class"][name]
        assert scores["support"] == support
        if support:
            of_class = [scores["precision"], scores["recall"], scores["f1"]]
            assert of_class == pytest.approx([precision, recall, f1])
    average = f1_score(truth, said, labels=sorted(set(truth)), average="macro", zero_division=0)
    assert found["macro_f1"] == pytest.approx(average)


def test_measuring_loads_neither_scikit_learn_nor_scipy():
    code = (
        "import sys, torch\n"
        "from graft.evaluation.metrics import metrics\n"
        "metrics(torch.eye(2), torch.tensor([0, 1]), ['ants', 'bees'])\n"
        "print({'sklearn', 'scipy'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"


@given(st.integers(1, 30), st.integers(0, 99))
def test_the_loss_is_the_mean_over_images_however_they_were_batched(images, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(images, 3, generator=generator)
    labels = torch.randint(3, (images,), generator=generator)
    each = [mean_loss(logits[i : i + 1], labels[i : i + 1]) for i in range(images)]
    assert mean_loss(logits, labels) == pytest.approx(sum(each) / images)
