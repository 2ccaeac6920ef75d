"""What is counted is what is published."""

from __future__ import annotations

import pytest

from graft.backbones.build import build_without_values
from graft.backbones.providers import find_provider
from graft.zoo.catalogue import find
from graft.zoo.description import count_gflops, count_parameters


@pytest.mark.parametrize(
    "name",
    ["alexnet", "densenet121", "mobilenet_v3_small", "resnet18", "swin_t", "vgg11", "vit_b_32"],
)
def test_cost_is_as_torchvision_publishes_it(name):
    provider, facts = find_provider("torchvision"), find(name)
    model_info = provider.model_info(name, None, None, None)
    network = build_without_values(provider, model_info.architecture).to("meta").eval()
    size = model_info.preprocess.height, model_info.preprocess.width
    assert count_parameters(network) == facts.parameters
    assert count_gflops(network, size) == pytest.approx(facts.gflops, rel=0.01)
