"""Promises of the optimizer steps: however a batch is cut, the step is the same."""

from __future__ import annotations

import pytest
import torch

from graft.data.loader import Batch
from graft.errors import ResourceError
from graft.strategies import Phase, Plan, make_plan
from graft.tasks import CrossEntropy, Progress
from tests.training.conftest import STAGES, state


def test_accumulation_takes_the_same_step_as_the_whole_batch(make_trainer):
    steps = []
    for parts in (1, 3):
        trainer = make_trainer(batch_size=8, accumulate=parts, optimizer="sgd", label_smoothing=0)
        trainer.model.eval()  # drop-out would draw per part
        batch = next(iter(trainer.train_loader.epoch(0)))
        trainer.steps.optimizer.param_groups[0]["lr"] = 0.1
        trainer.steps.take(batch, Progress(0, 1, 1), trainer.model)
        steps.append(state(trainer))
    for name in steps[0]:
        torch.testing.assert_close(steps[0][name], steps[1][name], rtol=1e-4, atol=1e-6)


def test_out_of_memory_halves_the_parts_and_takes_the_same_step(make_trainer):
    class Greedy:
        """Runs out of memory above four images at a time."""

        def __call__(self, model, batch, progress):
            if len(batch) > 4:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return CrossEntropy(0.1)(model, batch, progress)

    plan = Plan("custom", STAGES, (Phase("head", "gradient", 1, {"head": 1.0}),), 1)
    roomy = make_trainer(plan=plan)
    tight = make_trainer(plan=plan, trainer={"objective": Greedy()})
    roomy.train()
    tight.train()
    for name, tensor in state(roomy).items():
        torch.testing.assert_close(tensor, state(tight)[name], rtol=1e-3, atol=1e-5)


def test_an_image_that_alone_is_too_large_is_a_resource_error(make_trainer):
    class Full:
        def __call__(self, model, batch, progress):
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(ResourceError, match="does not fit"):
        make_trainer(trainer={"objective": Full()}).train()


def test_a_batch_cut_into_parts_loses_no_image():
    batch = Batch(torch.arange(7.0).view(7, 1, 1, 1), torch.arange(7), torch.arange(7))
    parts = list(batch.split(3))
    assert torch.cat([part.indices for part in parts]).tolist() == list(range(7))
    assert {len(part) for part in parts} == {2, 3}


def test_a_plan_without_epochs_prepares_no_steps(make_trainer):
    trainer = make_trainer(plan=make_plan("probe", STAGES))
    trainer.train()
    assert "steps" not in vars(trainer)
