"""Promises of tasks: how results compare, and that a task can be written down and made again."""

from __future__ import annotations

import pytest
import torch

from graft.config import TrainingOptions
from graft.data.manifest import Sample
from graft.errors import DataError
from graft.inference import Outputs
from graft.tasks import Classification, Mixup, Score, Task, build_task

pytestmark = pytest.mark.numeric

TASK = Classification(("ants", "bees", "wasps"))
OUTPUTS = Outputs(torch.tensor([[2.0, 0, 0], [0, 1, 0], [0, 3, 0]]), torch.tensor([0, 1, 2]))


def test_better_means_a_higher_value_and_then_less_loss():
    assert Score(0.9, 2.0).beats(Score(0.8, 0.1))
    assert Score(0.9, 0.5).beats(Score(0.9, 0.6))
    assert not Score(0.9, 0.6).beats(Score(0.9, 0.6))
    assert Score(0.1, 9.0).beats(None)


def test_a_task_is_made_again_of_its_record():
    assert isinstance(TASK, Task)
    assert build_task(TASK.record()) == TASK


@pytest.mark.parametrize("record", [{"name": "juggling"}, {"name": "classification"}, {}])
def test_an_unknown_task_is_refused(record):
    with pytest.raises(DataError, match="The record of the task is"):
        build_task(record)


def test_labels_are_matched_by_name_and_an_unknown_one_is_refused():
    samples = [Sample("a.jpg", "wasps"), Sample("b.jpg", ""), "c.jpg"]
    assert TASK.targets(samples).tolist() == [2, -1, -1]
    with pytest.raises(DataError, match="'fleas', the label of"):
        TASK.targets([Sample("a.jpg", "fleas")])


def test_the_score_is_the_accuracy_and_then_the_loss():
    score = TASK.score(OUTPUTS)
    assert score.value == pytest.approx(2 / 3)
    assert score.loss == pytest.approx(TASK.metrics(OUTPUTS)["loss"])


def test_a_prediction_names_the_most_probable_classes():
    found = TASK.prediction("a.jpg", TASK.activate(OUTPUTS.values)[2], top=2)
    assert (found.path, found.label, [name for name, _ in found.top]) == (
        "a.jpg",
        "bees",
        ["bees", "ants"],
    )
    assert found.confidence == found.top[0][1] > found.top[1][1]


def test_balanced_weights_give_every_class_the_same_total():
    train = [Sample(str(n), name) for n, name in enumerate(["ants"] * 6 + ["bees"] * 2 + ["wasps"])]
    objective = TASK.objective(TrainingOptions(class_weights="balanced", label_smoothing=0), train)
    assert (objective.class_weights * torch.tensor([6, 2, 1])).tolist() == pytest.approx([3, 3, 3])


def test_mixup_wraps_the_objective_where_it_is_asked_for():
    assert isinstance(TASK.objective(TrainingOptions(mixup=0.2), []), Mixup)
