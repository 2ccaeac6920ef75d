"""The backbone of a saved classifier, as a backbone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from graft.backbones.load import load_backbone
from graft.errors import BackboneError, DataError
from graft.heads import build_head
from graft.model import Classifier


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    backbone = load_backbone("squeezenet1_1", pretrained=False, image_size=64, seed=5)
    head = build_head({"kind": "linear", "width": backbone.width, "classes": 2})
    return Classifier(backbone, head, ("ants", "bees")).save(tmp_path / "run" / "model")


@pytest.mark.parametrize("level", ["model", "run"])
@torch.no_grad()
def test_a_model_or_a_run_gives_its_backbone(saved: Path, level: str) -> None:
    images = torch.rand(2, 3, 64, 64)
    expected = Classifier.load(saved).backbone.module(images)

    backbone = load_backbone(str(saved if level == "model" else saved.parent))

    torch.testing.assert_close(backbone.module(images), expected)
    assert backbone.name == "torchvision:squeezenet1_1"
    assert backbone.preprocess.image_size == (64, 64)
    assert len(backbone.provenance.sha256 or "") == 64


def test_it_is_described_without_reading_its_weights(saved: Path) -> None:
    backbone = load_backbone(str(saved), meta=True)

    assert next(backbone.module.parameters()).is_meta


def test_another_image_size_is_refused(saved: Path) -> None:
    with pytest.raises(BackboneError, match="has weights of its own, for images of 64 pixels"):
        load_backbone(str(saved), image_size=128)


def test_damaged_weights_are_named(saved: Path) -> None:
    (saved / "model.safetensors").write_bytes(b"damaged")

    with pytest.raises(DataError, match=r"model\.safetensors does not match"):
        load_backbone(str(saved))
