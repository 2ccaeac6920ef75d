"""Promises of a classifier: saved, loaded, and asked, it stays the same."""

from __future__ import annotations

import pytest
import torch

from graft.backbones.load import load_backbone
from graft.heads.linear import LinearHead
from graft.model import Classifier
from tests.workflows.conftest import SMALL, photos

__all__ = ["photos"]


# MNASNet refuses a state dict without torch's version marks, which safetensors does not carry.
@pytest.mark.parametrize("name", ["mnasnet0_5", "squeezenet1_1"])
def test_a_saved_classifier_gives_identical_logits(name, tmp_path):
    backbone = load_backbone(name, pretrained=False, image_size=32)
    classifier = Classifier(backbone, LinearHead(backbone.width, 2), ("a", "b"))
    classifier.to(memory_format=torch.channels_last).eval().save(tmp_path)
    images = torch.rand(4, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        assert torch.equal(Classifier.load(tmp_path)(images), classifier(images))


def test_a_network_with_version_marks_is_trained_and_resumed(photos, tmp_path):
    import graft

    options = {**SMALL, "backbone": "mnasnet0_5", "strategy": "scratch", "epochs": 2}
    run = graft.fit(photos, out=tmp_path / "r", **options)
    assert graft.load(run.run).predict(photos / "val/red/00.png")
    assert graft.evaluate(run.run, photos, split="val")["accuracy"] == run.result["val_accuracy"]
