"""Anyone can add a provider: one module and an entry point."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from graft.backbones.load import load_backbone
from graft.backbones.providers import available, find_provider
from graft.errors import BackboneError

PROVIDER = """
from torch import nn
from graft.backbones.backbone import Provenance
from graft.backbones.providers import ModelInfo
from graft.data.preprocess import Preprocess

def names():
    return ["tiny"]

def model_info(name, weights, image_size, file):
    preprocess = Preprocess(image_size or 16)
    return ModelInfo(f"mine:{name}", {"width": 8}, preprocess, Provenance("mine"))

def build(architecture):
    width = architecture["width"]
    return nn.Sequential(
        nn.Conv2d(3, width, 3), nn.Conv2d(width, width, 3, 2), nn.Conv2d(width, width, 3, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(width, 4),
    )

def adapt(state, architecture):
    return dict(state)

def check(name, architecture, preprocess):
    if architecture != model_info(name, None, None, None).architecture:
        raise ValueError("another architecture")
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution "mine" with the module `mine_provider`, as pip would lay it out."""
    (tmp_path / "mine_provider.py").write_text(PROVIDER)
    facts = tmp_path / "mine-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(
        "[graft.backbones]\nmine = mine_provider\nbroken = no_such_module\n"
        "torchvision = mine_provider\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("installed")
def test_a_provider_of_another_package_serves_backbones() -> None:
    backbone = load_backbone("mine:tiny", pretrained=False)

    assert [stage.modules[0] for stage in backbone.stages] == ["0", "1", "2"]
    assert (backbone.name, backbone.width, backbone.head_dropout) == ("mine:tiny", 8, 0.1)
    assert tuple(backbone.module(torch.zeros(1, 3, 16, 16)).shape) == (1, 8)


@pytest.mark.usefixtures("installed")
def test_a_model_without_published_weights_says_so() -> None:
    with pytest.raises(BackboneError, match="'mine:tiny' comes without pre-trained weights"):
        load_backbone("mine:tiny")


@pytest.mark.usefixtures("installed")
def test_a_provider_whose_module_is_missing_is_named() -> None:
    with pytest.raises(BackboneError, match="'broken' cannot be used: No module named"):
        find_provider("broken")


@pytest.mark.usefixtures("installed")
def test_a_shipped_provider_cannot_be_replaced() -> None:
    assert available()["torchvision"] == "graft.backbones.providers.torchvision"
