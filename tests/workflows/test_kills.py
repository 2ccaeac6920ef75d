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
SOME_OF_MANY = (*range(25), 100, 1000, *range(-25, 0))
"""Of a verb that writes thousands of files alike."""

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
def test_a_kill_at_every_place_leaves_nothing_that_is_stuck_half_told_or_left_over(verb, tmp_path):
    check(verb, tmp_path, SOME_OF_MANY if verb == "samples" else ())
