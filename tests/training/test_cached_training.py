"""The cache changes no number: not whether it keeps, not where, not for whom."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Stage
from hypothesis import strategies as st

from graft.cache.feature_cache import FeatureCache
from graft.config import TrainingOptions
from graft.data.augment import augmentation
from graft.data.loader import Loader
from graft.errors import BackboneError
from graft.heads.linear import LinearHead
from graft.model import Classifier
from graft.strategies import HEAD, STRATEGIES, Phase, Plan, make_plan
from graft.training import Callback, Trainer
from graft.training.features import FeatureSource
from tests.training.networks import backbones, make_backbone

property_test = settings(
    max_examples=6,
    deadline=None,
    # A failure here takes minutes to shrink and is small anyway.
    phases=[Stage.explicit, Stage.reuse, Stage.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Last(Callback):
    """Remembers the weights as the last epoch ends, before the best ones are put back."""

    def __init__(self):
        self.trainer, self.state, self.said = None, {}, []

    def on_epoch_end(self, trainer, line):
        state = self.trainer.model.state_dict()
        self.state = {name: tensor.clone() for name, tensor in state.items()}

    def on_message(self, words):
        self.said.append(words)


@contextmanager
def directly():
    """Run the whole network on images, in the place of activations at the cut."""

    def refuse(*_):
        raise BackboneError("not today.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FeatureSource, "_at_cut", refuse)
        yield


def train(manifest, backbone, plan, cache, *, augment="none", options=None):
    """Carry out a plan on a copy of a backbone; return the trainer and its last weights."""
    import copy
    from dataclasses import replace

    own = replace(backbone, module=copy.deepcopy(backbone.module))
    head = LinearHead(own.width, len(manifest.classes), own.head_dropout)
    classifier = Classifier(own, head, manifest.classes)
    loader = Loader(
        manifest.subset("train"),
        classifier.task,
        own.preprocess,
        batch_size=8,
        augmentation=augmentation(augment),
        shuffle=True,
    )
    listener = Last()
    listener.trainer = trainer = Trainer(
        classifier,
        plan,
        loader,
        classifier.loader(manifest.subset("val")),
        options=options or TrainingOptions(optimizer="sgd", lr=0.01, batch_size=8, clip=1),
        cache=cache,
        device="cpu",
        callbacks=[listener],
    )
    trainer.train()
    return listener


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def distance(first, second):
    return max(float((first[name] - second[name]).abs().max()) for name in first)


@st.composite
def plans(draw, stages):
    """Any phases: any stages, in any order, solved first or not."""
    phases = [Phase(HEAD, "solve", 0, {HEAD: 1.0})] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 2))):
        trained = draw(st.sets(st.sampled_from(stages)))
        rates = {**dict.fromkeys(trained, 0.5), HEAD: 1.0}
        phases.append(Phase("p", "gradient", draw(st.integers(1, 2)), rates))
    epochs = sum(phase.epochs for phase in phases)
    policy = draw(st.sampled_from(["eval", "train"]))
    return Plan("custom", tuple(stages), tuple(phases), epochs, policy)


@property_test
@given(st.data())
def test_rows_kept_in_memory_on_disk_or_nowhere_give_the_same_weights_bit_for_bit(manifest, data):
    backbone = data.draw(backbones)
    plan = data.draw(plans([stage.name for stage in backbone.stages]))
    with tempfile.TemporaryDirectory() as folder:
        caches = [
            FeatureCache(memory=0),
            FeatureCache(),
            FeatureCache(Path(folder)),
            FeatureCache(Path(folder)),
        ]
        first, *others = (
            train(manifest, backbone, plan, cache, augment="basic").state for cache in caches
        )
    assert all(same(first, other) for other in others)


@property_test
@given(st.data())
def test_training_above_the_cut_gives_the_weights_of_training_the_whole_network(manifest, data):
    backbone = data.draw(backbones)
    plan = data.draw(plans([stage.name for stage in backbone.stages]))
    cached = train(manifest, backbone, plan, FeatureCache())
    with directly():
        direct = train(manifest, backbone, plan, FeatureCache())
    assert not cached.said
    assert distance(cached.state, direct.state) < 1e-5


@pytest.mark.parametrize("strategy", sorted(set(STRATEGIES) - {"scratch", "phases"}))
def test_every_strategy_gets_the_weights_of_the_direct_way(manifest, strategy):
    backbone = make_backbone([(False, True), (True, True), (False, False)], far=True, seed=1)
    epochs = {"probe": 0}.get(strategy, 3)
    plan = make_plan(strategy, [stage.name for stage in backbone.stages], epochs=epochs)
    options = TrainingOptions(batch_size=8, label_smoothing=0.1)
    runs = []
    for way in (nullcontext, directly):
        with way():
            runs.append(
                train(manifest, backbone, plan, None, augment="basic", options=options).state
            )
    assert distance(*runs) < 1e-5
