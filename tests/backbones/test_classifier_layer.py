"""The last layer is found by running, not by its name, and goes with what belongs to the head."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from graft.backbones.architecture import analyze, find_classifier
from graft.backbones.load import load_backbone
from graft.backbones.trace import trace
from graft.data.preprocess import Preprocess
from graft.errors import BackboneError


@pytest.mark.parametrize(
    ("name", "removed", "dropout"),
    [
        ("resnet18", ("fc",), 0.0),
        ("mobilenet_v2", ("classifier.1", "classifier.0"), 0.2),
        ("squeezenet1_1", ("classifier.1", "classifier.0", "classifier.2"), 0.5),
        ("vgg16", ("classifier.6", "classifier.5"), 0.5),
        ("alexnet", ("classifier.6",), 0.0),
    ],
)
def test_the_classifier_goes_with_its_dropout(
    name: str, removed: tuple[str, ...], dropout: float
) -> None:
    backbone = load_backbone(name, meta=True)

    assert backbone.removed == removed
    assert backbone.head_dropout == dropout


def test_a_network_that_ends_in_something_else_is_refused() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))

    with pytest.raises(BackboneError, match=r"'1' \(BatchNorm2d\), is not a classifier"):
        find_classifier(trace(network, (8, 8)))


def test_a_network_without_layers_is_refused() -> None:
    with pytest.raises(BackboneError, match="no layer with parameters"):
        find_classifier(trace(nn.Sequential(nn.Flatten()), (8, 8)))


def test_a_network_with_two_classifiers_is_refused() -> None:
    class TwoHeads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 8)
            self.head = nn.Linear(8, 5)
            self.head_dist = nn.Linear(8, 5)

        def forward(self, images: Tensor) -> Tensor:
            features = self.conv(images).flatten(1)
            return torch.cat([self.head(features), self.head_dist(features)], 1)

    with pytest.raises(BackboneError, match="not its only classifier"):
        analyze(TwoHeads(), Preprocess(8))


def test_a_size_the_network_cannot_take_is_named() -> None:
    with pytest.raises(BackboneError, match="does not run on images of 4 x 4 pixels"):
        load_backbone("alexnet", meta=True, image_size=4)
