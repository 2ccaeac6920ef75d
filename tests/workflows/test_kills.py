"""Killed at any file operation and taken up again, a run is the run that nothing disturbed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflows.conftest import write_photos

ROOT = Path(__file__).parents[2]
SAMPLE = {"fit": (2, 40, 70, -2), "pretrain": (30,), "samples": (-1,)}
"""Some of the places: in the start, in a checkpoint, before and after the run is done."""
SPREAD = {
    "fit": (*range(0, 138, 6), -3, -1),
    "pretrain": (*range(0, 60, 5), -3, -2, -1),
    "samples": (*range(5), 100, 1000, -4, -3, -2),
}
"""Of the places in `make test-all`: all of them take an hour, and most are alike."""

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")


def after_kills(verb: str, folder: Path, places: tuple[int, ...]) -> dict[str, dict]:
    counts = {"train/red": 6, "train/blue": 6, "val/red": 3, "val/blue": 3, "test/red": 2}
    photos = write_photos(folder / "photos", {**counts, "test/blue": 2})
    (folder / "runs").mkdir()
    done = subprocess.run(
        [sys.executable, __file__.replace("test_kills", "kills"), verb, folder / "runs", photos]
        + [str(place) for place in places],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["left"]


def check(verb: str, folder: Path, places: tuple[int, ...]) -> None:
    left = after_kills(verb, folder, places)
    whole = left.pop("whole")
    assert whole["half"] == []
    assert {"fit": "out/report.html", "pretrain": "out/model", "samples": "out/train"}[
        verb
    ] in whole["names"]
    assert len(left) >= len(places)
    different = {
        place: sorted(key for key in {*whole, *found} if found.get(key) != whole.get(key))
        for place, found in left.items()
        if found != whole
    }
    assert not different, [left[place] for place in different]


@pytest.mark.parametrize("verb", SAMPLE)
def test_a_kill_at_some_places_leaves_nothing_that_is_stuck_half_told_or_left_over(verb, tmp_path):
    check(verb, tmp_path, SAMPLE[verb])


@pytest.mark.slow
@pytest.mark.parametrize("verb", SAMPLE)
def test_a_kill_at_many_places_leaves_nothing_that_is_stuck_half_told_or_left_over(verb, tmp_path):
    """A spread over all places, with the first and the last; not every one, which takes an hour.

    `python tests/workflows/kills.py VERB FOLDER PHOTOS` takes every place.
    """
    check(verb, tmp_path, SPREAD[verb])
