"""Promises of an engine: the same bits for an image in a batch of any size."""

from __future__ import annotations

from threading import Thread

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from graft.backbones.load import load_backbone
from graft.inference import Engine, engine
from tests.inference.networks import randomise

pytestmark = pytest.mark.numeric

NETWORKS = ("graft-small", "shufflenet_v2_x0_5", "squeezenet1_1", "transformer")
SIDE = 32


def make(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name == "transformer":
        return nn.Sequential(
            nn.Conv2d(3, 16, 8, 8),
            nn.Flatten(2),
            nn.TransformerEncoderLayer(16, 4, 32, dropout=0.5, batch_first=True),
            nn.Flatten(),
        )
    network = load_backbone(name, pretrained=False, image_size=SIDE).module
    randomise(network)
    return network


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> nn.Module:
    return make(request.param)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(19, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def test_every_batch_size_gives_the_bits_of_the_whole(network: nn.Module, images: Tensor) -> None:
    quick = Engine(network)

    whole = quick(images)

    for size in (1, 2, 3, 4, 5, 8, 11):
        parts = torch.cat([quick(part) for part in images.split(size)])
        assert torch.equal(parts, whole), size


def test_it_computes_what_the_network_does(network: nn.Module, images: Tensor) -> None:
    with torch.no_grad():
        expected = network.eval()(images)
    network.train()

    made = Engine(network)(images)

    assert float((made - expected).abs().max() / expected.abs().max()) <= 1e-4
    assert all(each.training for each in network.modules())
    assert not any(isinstance(each, engine.DirectConv2d) for each in network.modules())


@given(st.integers(0, 63))
@settings(deadline=None, max_examples=10)
def test_where_in_memory_an_image_begins_changes_no_bit(offset: int) -> None:
    quick = Engine(make("squeezenet1_1"))
    image = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    moved = torch.empty(offset + image.numel())[offset:].view_as(image).copy_(image)

    assert torch.equal(quick(moved), quick(image))


def test_where_a_short_batch_rounds_otherwise_it_is_filled_up(images: Tensor) -> None:
    class Rounds(nn.Module):
        """Sums in another order when there is one image."""

        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))
            self.sizes: list[int] = []

        def forward(self, batch: Tensor) -> Tensor:
            self.sizes.append(len(batch))
            values = batch.flatten(1) * self.scale
            return (
                values.sum(1, keepdim=True) if len(batch) > 1 else values.flip(1).cumsum(1)[:, -1:]
            )

    network = Rounds()
    quick = Engine(network)

    alone = quick(images[:1])

    assert torch.equal(alone, quick(images[:8])[:1])
    quick._quick.sizes.clear()  # type: ignore[union-attr, operator]
    quick(images[:1])
    quick(images[:2])
    assert quick._quick.sizes == [8, 8, 2, 2]  # type: ignore[union-attr]


def test_threads_get_the_bits_of_one(network: nn.Module, images: Tensor) -> None:
    expected = Engine(network)(images)
    quick, made = Engine(network), {}

    def work(number: int) -> None:
        made[number] = torch.cat([quick(part) for part in images.split(number % 4 + 1)])

    threads = [Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(made) == 8
    assert all(torch.equal(each, expected) for each in made.values())


def test_a_convolution_that_cannot_be_direct_stays_as_it_is(images: Tensor) -> None:
    class Strange(nn.Module):
        """Fails where its convolution is of another class."""

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, batch: Tensor) -> Tensor:
            if type(self.conv) is not nn.Conv2d:
                raise TypeError
            return self.conv(batch).flatten(1)

    quick = Engine(Strange())

    assert torch.equal(quick(images[:1]), quick(images)[:1])


@pytest.mark.parametrize("precision", ["bf16"])
def test_reduced_precision_keeps_the_promise(images: Tensor, precision: str) -> None:
    quick = Engine(make("squeezenet1_1"), precision=precision)

    whole = quick(images)

    assert whole.dtype == torch.float32
    assert torch.equal(quick(images[16:]), whole[16:])
