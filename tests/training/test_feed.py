"""Promises of the feed: what many images run through, and what validation runs through."""

from __future__ import annotations

import pytest
import torch

from graft.cache.feature_cache import FeatureCache
from graft.data.loader import Loader
from graft.heads.linear import LinearHead
from graft.inference import onnx
from graft.model import Classifier
from graft.strategies import make_plan
from graft.training import Silent, Trainer
from tests.training.networks import make_backbone


class Hears(Silent):
    """Remembers what is said."""

    def __init__(self):
        self.said = []

    def say(self, words):
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
            listener=listener,
        )
        trainer.train()
        return trainer, listener.said

    return run


@pytest.fixture
def many(monkeypatch):
    """Let these few images count as many, where ONNX Runtime is installed."""
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(onnx, "PAYS_FROM", 10)


def weights(trainer):
    return trainer.classifier.head.linear.weight


def test_many_training_images_run_through_onnx_runtime_to_nearly_the_same_head(
    probe, tmp_path, monkeypatch
):
    pytest.importorskip("onnxruntime")
    folded, _ = probe(FeatureCache(tmp_path / "a" / "features"))
    monkeypatch.setattr(onnx, "PAYS_FROM", 10)
    exported, said = probe(FeatureCache(tmp_path / "b" / "features"))
    assert not said
    assert len(list((tmp_path / "b" / "engines").glob("*.onnx"))) == 1
    assert not (tmp_path / "a" / "engines").exists()
    torch.testing.assert_close(weights(folded), weights(exported), rtol=1e-3, atol=1e-4)


def test_the_engine_follows_from_the_number_of_images_and_not_from_the_cache(probe, tmp_path, many):
    cold, _ = probe(FeatureCache(tmp_path / "features"))
    hit, _ = probe(FeatureCache(tmp_path / "features"))
    off, _ = probe(FeatureCache(memory=0))
    assert torch.equal(weights(cold), weights(hit))
    assert torch.equal(weights(cold), weights(off))


def test_rows_of_one_engine_are_not_found_by_the_other(probe, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    probe(FeatureCache(tmp_path / "features"))
    monkeypatch.setattr(onnx, "PAYS_FROM", 10)
    cache = FeatureCache(tmp_path / "features")
    probe(cache)
    told = {kept.what: (kept.engine, kept.found) for kept in cache.decisions}
    assert told == {"training images": ("ONNX Runtime", 0), "validation images": ("torch", 1)}


def test_a_network_that_cannot_be_exported_runs_as_ever_and_it_is_said(
    probe, tmp_path, many, monkeypatch
):
    def refuses(*_):
        raise RuntimeError("an operation that ONNX does not know")

    monkeypatch.setattr(onnx, "_write", refuses)
    cache = FeatureCache(tmp_path / "features")
    trainer, said = probe(cache)
    assert any("ONNX Runtime is not used" in words for words in said)
    assert {kept.engine for kept in cache.decisions} == {"torch"}
    monkeypatch.undo()
    plain, _ = probe(FeatureCache(tmp_path / "other"))
    assert torch.equal(weights(trainer), weights(plain))
