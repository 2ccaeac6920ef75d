"""Random small networks with everything that makes a cut hard."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from graft.backbones.backbone import Backbone, Provenance, Stage
from graft.data.preprocess import Preprocess


class Block(nn.Module):
    """Convolution, BatchNorm, activation, drop-out; perhaps with a skip around it."""

    def __init__(self, inputs: int, outputs: int, *, residual: bool, inplace: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, 1 if residual else 2, 1)
        self.norm = nn.BatchNorm2d(outputs)
        self.activation = nn.ReLU(inplace=inplace)
        self.dropout = nn.Dropout(0.3)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.dropout(self.activation(self.norm(self.convolution(x))))
        return x + y if self.residual else y


class Network(nn.Module):
    """Blocks in a row; with `far`, the first one's output is looked at again at the end."""

    def __init__(self, kinds: list[tuple[bool, bool]], *, far: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        width = 3
        for index, (residual, inplace) in enumerate(kinds):
            same = residual and index > 0
            outputs = width if same else width + 3
            self.blocks.append(Block(width, outputs, residual=same, inplace=inplace))
            width = outputs
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.far = far
        self.width = width + (6 if far else 0)

    def forward(self, x: Tensor) -> Tensor:
        first = None
        for block in self.blocks:
            x = block(x)
            first = x if first is None else first
        features = self.pool(x).flatten(1)
        if self.far:
            assert first is not None
            features = torch.cat([features, self.pool(first).flatten(1)], dim=1)
        return features


def make_backbone(kinds: list[tuple[bool, bool]], *, far: bool, seed: int) -> Backbone:
    """Return a backbone with a stage per block and BatchNorm statistics of its own."""
    torch.manual_seed(seed)
    network = Network(kinds, far=far)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    stages = tuple(
        Stage(
            "stem" if index == 0 else f"stage{index}",
            (f"blocks.{index}",),
            tuple(f"blocks.{index}.{name}" for name, _ in block.named_parameters()),
            tuple(f"blocks.{index}.{name}" for name, _ in block.named_buffers()),
            (),
        )
        for index, block in enumerate(network.blocks)
    )
    preprocess = Preprocess(16, mean=(0.5,) * 3, std=(0.25,) * 3)
    provenance = Provenance("tests")
    return Backbone(
        "tests:random", network, stages, network.width, preprocess, 0.2, provenance, {}, ()
    )


backbones = st.builds(
    make_backbone,
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=4),
    far=st.booleans(),
    seed=st.integers(0, 99),
)
"""Networks of two to four stages."""
