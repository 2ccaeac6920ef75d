"""Promises of the feed: what many images run through, and what validation runs through."""

from __future__ import annotations

import pytest
import torch

from graft.cache.feature_cache import FeatureCache
from graft.data.loader import Loader
from graft.heads.linear import LinearHead
from graft.model import Classifier
from graft.strategies import make_plan
from graft.training import Callback, Trainer
from tests.training.networks import make_backbone


class Hears(Callback):
    """Remembers what is said."""

    def __init__(self):
        self.said = []

    def on_message(self, words):
        self.said.append(words)


@pytest.fixture
def probe(manifest):
    """Solve a head, with a cache of one's own; return the trainer and what it said."""

    def run(cache):
        backbone = make_backbone([(False, False), (True, True)], far=True, seed=0)
        classifier = Classifier(backbone, LinearHead(backbone.width, 3), manifest.classes)
        loader = Loader(
            manifest.subset("train"), classifier.task, backbone.preprocess, batch_size=8
        )
        listener = Hears()
        trainer = Trainer(
            classifier,
            make_plan("probe", [stage.name for stage in backbone.stages]),
            loader,
            classifier.loader(manifest.subset("val")),
            cache=cache,
            device="cpu",
            callbacks=[listener],
        )
        trainer.train()
        return trainer, listener.said

    return run


def weights(trainer):
    return trainer.model.head.linear.weight


def test_a_cold_cache_a_full_one_and_none_give_the_same_head(probe, tmp_path):
    cold, _ = probe(FeatureCache(tmp_path / "features"))
    hit, _ = probe(FeatureCache(tmp_path / "features"))
    off, _ = probe(FeatureCache(memory=0))
    assert torch.equal(weights(cold), weights(hit))
    assert torch.equal(weights(cold), weights(off))
