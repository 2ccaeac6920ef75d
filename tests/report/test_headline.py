"""The headline says what it was measured and selected on."""

from __future__ import annotations

from graft.report.summary import best_so_far, headline

VALIDATED = {
    "val_accuracy": 0.95,
    "val_interval": [0.9, 0.98],
    "val_images": 153,
    "selected_on": "validation",
}


def test_without_a_test_split_the_headline_says_that_it_selected_on_validation() -> None:
    head = headline(VALIDATED)
    assert head is not None
    assert head.on == "validation"
    assert head.caveat.startswith("Selected on validation")
    assert head.measured == "of 153 validation images right, 95% interval 90.0 to 98.0%"


def test_thresholds_that_were_set_on_the_validation_images_are_named() -> None:
    found = {"metric": "mAP", "val_score": 0.8, "val_images": 59, "tuned_on": "validation"}
    head = headline(found)
    assert head is not None
    assert "nothing was selected" not in head.caveat
    assert "thresholds were set on these validation images" in head.caveat


def test_the_test_accuracy_leads_even_where_validation_looks_better() -> None:
    tested = {"test_accuracy": 0.9, "test_interval": [0.8, 0.95], "test_images": 50}
    head = headline({**VALIDATED, **tested})
    assert head is not None
    assert (head.score, head.on, head.images) == (0.9, "test", 50)
    assert "95.0%" in head.caveat
    assert "Selected on" not in head.caveat


def test_a_test_accuracy_of_zero_is_still_the_headline() -> None:
    head = headline({**VALIDATED, "test_accuracy": 0.0})
    assert head is not None
    assert head.on == "test"


def test_an_unfinished_run_has_no_result_and_says_so() -> None:
    head = best_so_far([{"epoch": 1, "val_accuracy": 0.7}, {"epoch": 2, "val_accuracy": None}])
    assert head is not None
    assert head.interval is None
    assert "epoch 1 of 2" in head.caveat
    assert "no result" in head.caveat


def test_nothing_measured_gives_no_headline() -> None:
    assert headline({}) is None
    assert best_so_far([]) is None
