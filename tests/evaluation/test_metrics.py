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

from graft.errors import DataError
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


@settings(deadline=None)
@given(st.data(), st.integers(1, 12), st.integers(2, 5))
def test_intervals_are_those_of_each_distinct_image_once_however_often_it_is_copied(
    data, images, copies
):
    truth = data.draw(st.lists(st.integers(0, 2), min_size=images, max_size=images))
    said = data.draw(st.lists(st.integers(0, 2), min_size=images, max_size=images))
    logits = torch.nn.functional.one_hot(torch.tensor(said), 3).float()
    once = metrics(logits, torch.tensor(truth), NAMES)
    names = [f"hash {number}" for number in range(images)] * copies
    many = metrics(logits.repeat(copies, 1), torch.tensor(truth * copies), NAMES, names)
    assert (many["images"], many["distinct_images"]) == (images * copies, images)
    assert many["accuracy"] == pytest.approx(once["accuracy"])
    assert many["interval"] == pytest.approx(once["interval"])
    for name in NAMES:
        of_class = many["per_class"][name]["interval"]
        assert of_class == pytest.approx(once["per_class"][name]["interval"])


def test_eight_images_ten_times_each_are_eight():
    found = metrics(
        torch.eye(2)[:1].repeat(80, 1), torch.zeros(80).long(), NAMES[:2], [*"abcdefgh"] * 10
    )
    assert found["interval"] == pytest.approx([0.6756, 1.0], abs=1e-4)


def test_one_image_that_is_copied_does_not_pull_the_interval():
    logits, labels = torch.eye(2)[[1] * 90 + [0] * 10], torch.zeros(100).long()
    found = metrics(logits, labels, NAMES[:2], ["same"] * 90 + list(range(10)))
    assert found["accuracy"] == pytest.approx(0.1)
    assert found["distinct_accuracy"] == pytest.approx(10 / 11)
    assert found["interval"] == pytest.approx(
        metrics(logits[89:], labels[89:], NAMES[:2])["interval"]
    )


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_outputs_that_are_not_finite_are_no_result(bad):
    with pytest.raises(DataError, match="NaN or infinite for 1 of 2 images"):
        metrics(torch.tensor([[bad, 0.0], [0.0, 1.0]]), torch.tensor([0, 1]), NAMES[:2])


def test_ten_thousand_classes_stay_small():
    truth = torch.arange(10_000)
    logits = torch.zeros(300, 10_000)
    logits[torch.arange(300), (truth[:300] + 1) // 2] = 1
    found = metrics(logits, truth[:300], [f"class {number}" for number in range(10_000)])
    assert found["confusion"] is None
    assert [299, 150, 1] in found["confusion_pairs"]
    assert sum(times for _, _, times in found["confusion_pairs"]) == 300
    assert len(json.dumps(found)) < 2_500_000
