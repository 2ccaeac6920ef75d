import pytest
import torch
from torch.nn import functional

from graft.data.loader import Batch
from graft.pretraining.heads import FactorHeads, Factors
from graft.procedural import UNSEEN
from graft.tasks import Progress

pytestmark = pytest.mark.numeric

HERE = Progress(0, 1, 1)


def batch_with(labels):
    return Batch(torch.zeros(len(labels), 3, 2, 2), torch.tensor(labels), torch.arange(len(labels)))


def test_each_factor_has_the_mean_over_the_images_that_show_it():
    torch.manual_seed(0)
    shape, palette = torch.randn(3, 4), torch.randn(3, 5)
    batch = batch_with([[1, UNSEEN], [3, 2], [0, UNSEEN]])
    losses = Factors(("shape", "palette"))(lambda images: (shape, palette), batch, HERE)
    assert torch.allclose(losses["shape"], functional.cross_entropy(shape, batch.targets[:, 0]))
    alone = functional.cross_entropy(palette[1:2], batch.targets[1:2, 1])
    assert torch.allclose(losses["palette"], alone)


def test_a_factor_that_no_image_shows_costs_nothing_and_has_no_gradient():
    logits = torch.randn(2, 4, requires_grad=True)
    losses = Factors(("shape",))(lambda images: (logits,), batch_with([[-1], [-1]]), HERE)
    losses["shape"].backward()
    assert losses["shape"].item() == 0
    assert not logits.grad.any()


def test_heads_depend_on_the_seed_alone_and_differ_from_one_another():
    torch.manual_seed(1)
    first = FactorHeads(8, {"a": 3, "b": 3}, seed=5)
    torch.manual_seed(2)
    second = FactorHeads(8, {"a": 3, "b": 3}, seed=5)
    one, other = first.heads
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )
    assert not torch.equal(next(one.parameters()), next(other.parameters()))
