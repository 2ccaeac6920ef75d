"""Promises of streams: further batches of every step, as images or as activations, to the bit."""

from __future__ import annotations

import pytest
import torch

from graft.cache.feature_cache import FeatureCache
from graft.data.augment import augmentation
from graft.data.loader import Loader
from graft.errors import RecipeError
from graft.strategies import Phase, Plan
from graft.tasks import CrossEntropy, Mixup
from graft.training import Callback
from graft.training.features import Stream
from tests.training.conftest import STAGES, state, tiny_backbone

PLANS = {
    "nothing frozen": Phase("all", "gradient", 3, dict.fromkeys((*STAGES, "head"), 1.0)),
    "two stages frozen": Phase("top", "gradient", 3, {"stage2": 1.0, "head": 1.0}),
    "all frozen": Phase("head", "gradient", 3, {"head": 1.0}),
}


class Alike:
    """Cross-entropy, and the distance between the mean features of two domains."""

    streams = ("target",)

    def __init__(self):
        self.seen = []

    def __call__(self, model, batch, progress):
        target = batch.streams["target"]
        self.seen.append((progress.step, tuple(target.indices.tolist())))
        gap = model.features(batch.inputs).mean(0) - model.features(target.inputs).mean(0)
        return {**CrossEntropy()(model, batch, progress), "distance": gap.square().sum()}


class Killed(BaseException):
    """Stands for a kill at a moment no code can prepare for."""


class KillAt(Callback):
    def __init__(self, step):
        self.step = step

    def on_batch_end(self, trainer, line):
        if line["step"] == self.step:
            raise Killed


@pytest.fixture
def adapt(make_trainer, manifest):
    """Make a trainer that brings the validation images' features near to those of training."""

    def make(plan, **options):
        # Ten batches, so that an epoch of the stream ends in the middle of one of training.
        target = Loader(
            manifest.subset("val"),
            None,
            tiny_backbone().preprocess,
            batch_size=5,
            augmentation=augmentation("hflip(0.5)"),
            shuffle=True,
            seed=7,
        )
        assert len(target) == 5
        own = {"objective": Alike(), "streams": {"target": target}, **options.pop("trainer", {})}
        plan = Plan("custom", STAGES, (PLANS[plan],), 3)
        return make_trainer(plan=plan, trainer=own, **options)

    return make


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def last(trainer):
    """Train; return the weights as the last epoch leaves them, before the best are put back."""
    trainer.keep = "last"
    trainer.train()
    return state(trainer)


@pytest.mark.parametrize("plan", PLANS)
def test_every_step_has_a_batch_of_the_stream_and_learns_from_it(adapt, make_trainer, plan):
    trainer = adapt(plan)
    weights = last(trainer)
    seen = dict(trainer.objective.seen)
    assert sorted(seen) == list(range(3 * len(trainer.train_loader)))
    for start in range(0, 15, 5):  # an epoch of the stream has every image of it once
        images = [index for step in range(start, start + 5) for index in seen[step]]
        assert sorted(images) == list(range(24))
    plain = make_trainer(plan=trainer.plan)
    assert set(trainer.history[-1]["losses"]) == {"cross_entropy", "distance"}
    if plan != "all frozen":
        assert not same(weights, last(plain))


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("step", [4, 11])
def test_a_killed_run_resumes_with_the_same_batches_to_the_same_weights(
    adapt, tmp_path, plan, step
):
    whole = adapt(plan, folder=tmp_path / "whole")
    weights = last(whole)
    killed = adapt(plan, folder=tmp_path / "r", trainer={"callbacks": [KillAt(step)]})
    with pytest.raises(Killed):
        killed.train()
    resumed = adapt(plan, folder=tmp_path / "r", trainer={"resume": True})
    assert same(weights, last(resumed))
    done = resumed.objective.seen[0][0]
    assert resumed.objective.seen == whole.objective.seen[done:]


@pytest.mark.parametrize("plan", ["two stages frozen", "all frozen"])
def test_keeping_the_activations_of_a_stream_changes_no_bit(adapt, tmp_path, plan):
    caches = (
        FeatureCache(memory=0),
        FeatureCache(),
        FeatureCache(tmp_path),
        FeatureCache(tmp_path),
    )
    first, *others = (last(adapt(plan, trainer={"cache": cache})) for cache in caches)
    assert all(same(first, other) for other in others)
    kept = {each.what: each for each in caches[-1].decisions}
    assert kept["target"].where == "disk"
    assert kept["target"].found == 1


def test_a_batch_too_large_for_the_memory_is_cut_with_its_streams(adapt):
    class Greedy(Alike):
        def __call__(self, model, batch, progress):
            if len(batch) > 4:
                raise torch.OutOfMemoryError("CUDA out of memory")
            assert len(batch.streams["target"]) <= 3
            return super().__call__(model, batch, progress)

    trainer = adapt("nothing frozen", trainer={"objective": Greedy()})
    trainer.train()
    assert trainer.position.epoch == 3


def test_an_objective_that_needs_its_whole_batch_is_never_given_a_part(adapt):
    class Whole(Alike):
        whole_batch = True

        def __call__(self, model, batch, progress):
            assert len(batch.streams["target"]) >= 4
            return super().__call__(model, batch, progress)

    adapt("nothing frozen", accumulate=2, trainer={"objective": Whole()}).train()


def test_a_stream_that_is_not_given_is_asked_for_by_its_name(make_trainer):
    with pytest.raises(RecipeError, match="a stream 'target', which is not given"):
        make_trainer(trainer={"objective": Alike()})


def test_a_wrapped_objective_hands_on_what_it_declares():
    assert Mixup(Alike(), 3).streams == ("target",)


def test_which_batch_belongs_to_a_step_follows_from_the_step_alone(adapt):
    loader = adapt("nothing frozen").source.streams["target"]
    stream = Stream("target", loader)
    whole = [batch.indices.tolist() for batch in stream.batches(0, 12)]
    for start in (1, 5, 7):
        assert [batch.indices.tolist() for batch in stream.batches(start, 4)] == whole[
            start : start + 4
        ]
