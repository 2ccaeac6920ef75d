"""Promises of the diagnosis: words follow from evidence."""

import pytest

from graft.evaluation.diagnosis import diagnose


@pytest.mark.parametrize(
    ("train", "val", "verdict"),
    [
        ((244, 244), (147, 153), "good fit"),
        ((1000, 1000), (75, 100), "overfitting"),
        ((600, 1000), (58, 100), "underfitting"),
        ((10, 10), (7, 8), "undecided"),
        ((950, 1000), (470, 500), "good fit"),
    ],
)
def test_the_verdict_follows_from_both_accuracies(train, val, verdict):
    assert diagnose(*train, *val, classes=2)["verdict"] == verdict


def test_the_evidence_names_the_numbers():
    found = diagnose(1000, 1000, 75, 100, classes=2)
    for number in ("100.0%", "1000", "75.0%", "100 validation", "25.0 points"):
        assert number in found["evidence"]


def test_a_result_like_guessing_is_called_so():
    assert "not distinguishable from guessing" in diagnose(60, 100, 52, 100, classes=2)["next"]


def test_a_small_gap_on_few_images_is_not_called_overfitting():
    assert diagnose(20, 20, 17, 20, classes=2)["verdict"] != "overfitting"
