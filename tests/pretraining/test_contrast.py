import pytest
import torch

from graft.data.loader import Batch
from graft.pretraining.losses import BetweenViews, NTXent
from graft.pretraining.views import SECOND
from graft.tasks import Progress

pytestmark = pytest.mark.numeric


def test_the_loss_is_between_the_two_views_of_the_same_images():
    torch.manual_seed(0)
    first, second = torch.randn(6, 4), torch.randn(6, 4)
    nothing, indices = torch.full((6, 1), -1), torch.arange(6)
    batch = Batch(first, nothing, indices, {SECOND: Batch(second, nothing, indices)})
    own = BetweenViews(NTXent())(lambda images: images * 2, batch, Progress(0, 1, 1))
    assert torch.allclose(own["nt_xent"], NTXent()(first * 2, second * 2)["nt_xent"])
