"""Promises of forward passes without learning: the same bits whatever the company."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from graft.backbones.load import load_backbone
from graft.data.loader import Loader
from graft.heads.mlp import MLPHead
from graft.inference import Folded, Grafted, engine, eval_batch, fold, forward, run, run_head
from graft.model import Classifier
from tests.inference.networks import randomise

pytestmark = pytest.mark.numeric

SIDE = 32


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    backbone = load_backbone("shufflenet_v2_x0_5", pretrained=False, image_size=SIDE)
    head = MLPHead(backbone.width, 3, (8,), normalization="batch", dropout=0.5)
    made = Classifier(backbone, head, ("a", "b", "c"))
    randomise(made)
    return made.to(memory_format=torch.channels_last).train()


@pytest.fixture(scope="module")
def loader(classifier: Classifier, make_photo: Callable) -> Loader:
    return classifier.loader([make_photo(seed=seed) for seed in range(11)], workers=1)


def test_a_classifier_is_a_trunk_with_a_head(classifier: Classifier) -> None:
    assert isinstance(classifier, Grafted)


def test_logits_are_those_of_the_plain_network(classifier: Classifier, loader: Loader) -> None:
    batches = list(loader.epoch(0))
    classifier.eval()
    with torch.no_grad():
        expected = torch.cat([classifier(batch.inputs) for batch in batches])[:11]
    classifier.train()

    values = run(classifier, loader).values

    assert float((values - expected).abs().max() / expected.abs().max()) <= 1e-4


def test_one_image_a_few_and_all_get_the_same_bits(
    classifier: Classifier, loader: Loader, make_photo: Callable
) -> None:
    whole = run(classifier, loader).values

    for chosen in ([5], [9, 2, 5], range(10, -1, -1)):
        few = classifier.loader([make_photo(seed=seed) for seed in chosen], workers=1)
        assert torch.equal(run(classifier, few).values, whole[list(chosen)])


def test_a_head_on_a_trunks_features_gives_the_bits_of_the_whole(
    classifier: Classifier, loader: Loader
) -> None:
    features = run(classifier.body, loader).values

    logits = run_head(classifier.head, features, classifier.eval_batch)

    assert torch.equal(logits, run(classifier, loader).values)


def test_nothing_is_folded_for_a_head(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "fold", None)

    assert run_head(classifier.head, torch.zeros(3, classifier.backbone.width), 8).shape == (3, 3)


def test_batch_norm_is_folded_once_for_all_batches(
    classifier: Classifier, loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Folded] = []

    def note(module: nn.Module, example: Tensor) -> Folded:
        made.append(fold(module, example))
        return made[-1]

    monkeypatch.setattr(engine, "fold", note)
    run(classifier, loader)

    assert [(each.refused, each.folded) for each in made] == [(None, 56)]


def test_the_copy_is_freed_at_the_end(
    classifier: Classifier, loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: list[weakref.ref[nn.Module]] = []

    def note(module: nn.Module, example: Tensor) -> Folded:
        folded = fold(module, example)
        copies.append(weakref.ref(folded.module))
        return folded

    monkeypatch.setattr(engine, "fold", note)
    run(classifier, loader)
    gc.collect()

    assert [copy() for copy in copies] == [None]


@pytest.mark.parametrize("refused", [True, False])
def test_modes_and_numbers_of_the_module_are_left_alone(
    classifier: Classifier, loader: Loader, monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    if refused:
        monkeypatch.setattr(engine, "fold", lambda module, _: Folded(module, refused="tired"))
    classifier.body.stage2.eval()
    modes = [module.training for module in classifier.modules()]
    state = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}

    batches = forward(classifier, loader.epoch(0))
    next(batches)

    # Even between two batches, and if the rest is never asked for.
    assert [module.training for module in classifier.modules()] == modes
    batches.close()
    assert all(torch.equal(tensor, state[name]) for name, tensor in classifier.state_dict().items())
    classifier.train()


def test_a_refused_copy_changes_nothing_but_the_time(
    classifier: Classifier, loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = run(classifier, loader).values
    monkeypatch.setattr(engine, "fold", lambda module, _: Folded(module, refused="tired"))

    plain = run(classifier, loader).values

    assert float((plain - quick).abs().max() / plain.abs().max()) <= 1e-4


def test_bf16_is_for_the_trunk_and_its_features_are_float32(
    classifier: Classifier, loader: Loader
) -> None:
    exact = run(classifier.body, loader).values

    features = run(classifier.body, loader, precision="bf16").values
    logits = run(classifier, loader, precision="bf16").values

    assert features.dtype == torch.float32
    assert 1e-5 < float((features - exact).abs().max() / exact.abs().max()) < 0.1
    assert torch.equal(run_head(classifier.head, features, classifier.eval_batch), logits)


@given(st.integers(1, 30), st.integers(1, 9))
@settings(deadline=None)
def test_padding_a_heads_rows_changes_no_bit_of_them(count: int, batch: int) -> None:
    head = nn.Linear(5, 3)
    features = torch.rand(count, 5, generator=torch.Generator().manual_seed(count))

    logits = run_head(head, features, batch)

    assert torch.equal(logits[-1:], run_head(head, features[-1:], batch))
    torch.testing.assert_close(logits, head(features).detach())


def test_a_head_without_rows_gives_none() -> None:
    assert run_head(nn.Linear(5, 3), torch.zeros(0, 5), 8).shape == (0, 3)


def test_a_head_runs_in_fp32_whatever_is_around_it() -> None:
    head, features = nn.Linear(50, 3), torch.rand(8, 50)

    with torch.autocast("cpu", torch.bfloat16):
        logits = run_head(head, features, 8)

    assert torch.equal(logits, run_head(head, features, 8))


def test_a_container_of_nothing_is_still_a_network(
    loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Empty(nn.Sequential):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def __len__(self) -> int:
            return 0

        def forward(self, images: Tensor) -> Tensor:
            return images.mean((2, 3)) * self.scale

    folds: list[int] = []
    monkeypatch.setattr(engine, "fold", lambda *given: folds.append(1) or fold(*given))

    assert run(Empty(), loader).values.shape == (11, 3)
    assert folds == [1]


def test_a_batch_is_small_on_a_cpu_and_large_elsewhere() -> None:
    assert eval_batch(torch.device("cpu")) == 8
    assert eval_batch(torch.device("cuda")) == 64
