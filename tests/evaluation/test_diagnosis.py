"""Promises of the diagnosis: words follow from evidence."""

import pytest

from graft.evaluation.diagnosis import OVERFITTING, UNDERFITTING, diagnose, for_strategy
from graft.evaluation.intervals import Tally


def tally(correct: int, images: int, copies: int = 1) -> Tally:
    answers = [True] * correct + [False] * (images - correct)
    return Tally.of(answers * copies, list(range(images)) * copies)


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
    assert diagnose(tally(*train), tally(*val), classes=2)["verdict"] == verdict


def test_the_evidence_names_the_numbers():
    found = diagnose(tally(1000, 1000), tally(75, 100), classes=2)
    for number in ("100.0%", "1000", "75.0%", "100 validation", "25.0 points"):
        assert number in found["evidence"]


def test_a_result_like_guessing_is_called_so():
    assert (
        "not distinguishable from guessing"
        in diagnose(tally(60, 100), tally(52, 100), classes=2)["next"]
    )


def test_a_small_gap_on_few_images_is_not_called_overfitting():
    assert diagnose(tally(20, 20), tally(17, 20), classes=2)["verdict"] != "overfitting"


def test_copies_are_no_evidence_and_the_verdict_says_how_many_images_there_are():
    found = diagnose(tally(40, 40), tally(8, 8, copies=10), classes=2)
    assert found["verdict"] == "undecided"
    assert "8 distinct validation images leave 68% to 100% open" in found["evidence"]
    learned = diagnose(tally(40, 40, copies=50), tally(17, 20, copies=50), classes=2)
    assert learned["verdict"] != "overfitting"


@pytest.mark.parametrize("strategy", ["probe", "partial", "gradual", "two-phase", "full"])
@pytest.mark.parametrize("general", [OVERFITTING, UNDERFITTING])
def test_no_run_is_advised_what_it_has_done(strategy: str, general: str) -> None:
    advice = for_strategy({"next": general}, strategy)["next"]

    assert f"--strategy {strategy}" not in advice
    assert strategy != "probe" or "fewer stages" not in advice
