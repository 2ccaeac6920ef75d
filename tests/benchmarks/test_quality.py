"""The judgement of a small backbone: images, descriptions, methods, and how scores are told."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from benchmarks.place import HERE, MissingError
from benchmarks.quality import measure, tasks
from benchmarks.quality.__main__ import MARKERS
from benchmarks.quality.candidate import Candidate, features
from benchmarks.quality.few_shot import PER_CLASS, methods, write_digits
from benchmarks.quality.hog import hog
from benchmarks.quality.measure import Scope
from benchmarks.quality.probes import hog_rows, logistic_regression, pixel_rows, probe
from benchmarks.quality.score import Score
from benchmarks.quality.table import render
from benchmarks.quality.tasks import TASKS, digits, flowers
from benchmarks.rows import graft_small

from graft.backbones.load import load_backbone
from graft.heads.linear import LinearHead
from graft.model import Classifier


@pytest.fixture(scope="module")
def few():
    """Some digits."""
    return digits().first(200)


def test_the_split_of_the_digits_never_changes_and_is_stratified():
    task, again = digits(), digits()
    assert (len(task.labels), task.training, task.classes) == (1797, 1198, 10)
    assert np.array_equal(task.labels, again.labels)
    for part in np.split(task.labels, [task.training]):
        assert np.bincount(part).min() > 0.09 * len(part)


def test_a_draw_keeps_both_parts_and_every_class(few):
    assert len(few.images) == len(few.labels) == pytest.approx(200, abs=2)
    assert few.training / len(few.labels) == pytest.approx(2 / 3, abs=0.02)
    assert set(few.labels[few.training :]) == set(range(10))


def test_without_the_shared_images_a_task_is_left_out_and_said(monkeypatch, tmp_path):
    monkeypatch.setattr(tasks, "SHARED", tmp_path / "shared")
    with pytest.raises(MissingError):
        flowers()
    said = []
    scope = Scope(tasks=("flowers",), few=False)
    assert list(measure.measure(Candidate("graft-small"), scope, said.append)) == []
    assert "flowers is left out: no folder 'shared/data/flowers'" in said[0]


def test_a_ramp_has_one_orientation_and_turning_it_turns_the_histogram():
    ramp = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))[..., None]
    across = hog(ramp).reshape(-1, 9).sum(axis=0)
    down = hog(ramp.transpose(1, 0, 2)).reshape(-1, 9).sum(axis=0)
    # A horizontal gradient lies between the last bin and the first, a vertical one in the middle.
    assert across[[0, 8]].sum() > 0.99 * across.sum()
    assert down[4] > 0.99 * down.sum()


def test_blocks_are_normalised_and_contrast_does_not_matter():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    blocks = hog(noise).reshape(-1, 36)
    assert np.linalg.norm(blocks, axis=1) == pytest.approx(1, abs=1e-3)
    # The square root of the pixels makes it insensitive to their scale.
    assert hog(noise // 2 * 2) == pytest.approx(hog(noise // 2), abs=1e-5)
    assert not hog(np.full((32, 32, 3), 9, np.uint8)).any()


def test_pixels_and_hog_tell_digits_apart(few):
    assert pixel_rows(few).shape == (len(few.labels), 8 * 8 * 3)
    assert hog_rows(few).shape == (len(few.labels), 7 * 7 * 36)
    assert logistic_regression(pixel_rows(few), few) > 0.8


def test_a_probe_is_measured_on_the_test_images_alone(few):
    perfect = torch.eye(10)[torch.from_numpy(few.labels)]
    assert probe(perfect, few) == 1
    broken = perfect.clone()
    broken[few.training :] = broken[few.training :].roll(1, dims=1)
    assert probe(broken, few) == 0


def test_random_weights_follow_from_the_seed(few):
    candidate, task = Candidate("graft-small"), few.first(60)
    one, same, other = (features(candidate.random(seed), task) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_folder_that_graft_wrote_is_a_candidate(few, tmp_path):
    backbone = load_backbone("graft-small")
    Classifier(backbone, LinearHead(backbone.width, 2), ("a", "b")).save(tmp_path / "mine")
    candidate = Candidate(str(tmp_path / "mine"))
    assert candidate.label == "mine"
    task = few.first(40)
    published = features(Candidate("graft-small").load(), task)
    assert torch.equal(features(candidate.load(), task), published)
    assert not torch.equal(features(candidate.random(0), task), published)


def test_twenty_digits_of_each_class_are_labelled_and_all_others_test(tmp_path):
    with write_digits(tmp_path, 0).open() as file:
        rows = list(csv.DictReader(file))
    training = [row["label"] for row in rows if row["split"] == "train"]
    assert len(rows) == 1797
    assert {training.count(label) for label in set(training)} == {PER_CLASS}
    assert len(set(training)) == 10


def test_nothing_but_the_trunk_differs_between_two_of_the_few_shot_methods():
    found = methods(30, 120)
    full, scratch = found["full as scratch, 30 epochs"], found["scratch, 30 epochs"]
    assert full["epochs"] == scratch["epochs"] == 30
    from graft.config import TrainingOptions
    from graft.strategies import STRATEGIES, make_plan
    from graft.training import learning_rate

    plan = make_plan("scratch", ["stem", "stage1"], epochs=30)
    assert full["lr"] == learning_rate(TrainingOptions(), "scratch")
    assert full["batch_norm"] == plan.batch_norm
    assert full["head_start"] == "random"
    assert {phase.method for phase in plan.phases} == {"gradient"}
    assert full["decay"] == STRATEGIES["scratch"].decay


def test_every_method_is_measured(monkeypatch):
    monkeypatch.setitem(TASKS, "digits", lambda: digits().first(120))
    scope = Scope(tasks=("digits",), seeds=2, few=False)
    scores = list(measure.measure(Candidate("graft-small"), scope))
    assert [score.method for score in scores] == [
        measure.FROZEN, measure.RANDOM, measure.PIXELS, measure.HOG
    ]  # fmt: skip
    assert [len(score.accuracies) for score in scores] == [1, 2, 1, 1]
    assert all(score.images == 40 and 0 < score.accuracy <= 1 for score in scores)


SCORES = [
    Score("digits", "frozen features, probe", (0.98,), 600, 1.0),
    Score("digits", "random weights, probe", (0.93, 0.95), 600, 1.0),
    Score("digits", "HOG, logistic regression", (0.97,), 600, 1.0),
    Score("few", "probe", (0.9,), 1000, 1.0),
    Score("few", "full as scratch, 30 epochs", (0.96,), 1000, 1.0),
    Score("few", "scratch, 30 epochs", (0.95,), 1000, 1.0),
    Score("few", "scratch, 120 epochs", (0.97,), 1000, 1.0),
]


def test_tasks_of_other_methods_have_a_table_of_their_own():
    first, second = render(SCORES).split("\n\n")
    assert "| digits (600) |" in first
    assert "| random weights, probe | 94.0 % (91.8 to 95.6), seeds 93.0 to 95.0 |" in first
    assert "| few (1,000) |" in second


def test_scores_come_back_from_their_file():
    assert [Score.from_dict(json.loads(json.dumps(s.to_dict()))) for s in SCORES] == SCORES


def test_the_row_compares_with_the_best_without_pre_trained_weights():
    probes, few_shot = graft_small.told(SCORES)
    assert probes.value == pytest.approx(1)
    assert probes.verdict == "met"
    assert probes.medians["random weights, probe"] == "94.0 % (91.8 to 95.6)"
    assert few_shot.measure == "few: full as scratch, 30 epochs - scratch, 120 epochs"
    assert few_shot.value == pytest.approx(-1)
    assert few_shot.verdict == "not met"


def test_the_readme_has_a_place_for_the_table():
    text = (HERE / "README.md").read_text()
    assert [text.count(marker) for marker in MARKERS] == [1, 1]


def test_the_command_explains_itself():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.quality", "--task", "nothing"],
        cwd=HERE.parent, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "there is no task nothing" in re.sub(r"[│\s]+", " ", done.stderr)
