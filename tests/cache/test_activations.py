"""Promises of activations: the loader's batches, made once, in the place of images."""

from __future__ import annotations

import pytest
import torch

from graft.cache.activations import CLEAN, Activations, FrozenPrefix
from graft.cache.storage import DiskStorage, MemoryStorage
from graft.cache.store import Store

pytestmark = pytest.mark.numeric


class Counting(FrozenPrefix):
    """Counts the images that go through the frozen stages."""

    seen = 0

    def activations(self, images):
        self.seen += len(images)
        return super().activations(images)


@pytest.fixture
def prefix(backbone):
    return Counting(backbone, "stage2")


def on_disk(prefix, folder):
    return DiskStorage(Store(folder), {"test": 1}, prefix.size)


def storages(prefix, folder):
    return [None, MemoryStorage(prefix.size), on_disk(prefix, folder)]


def test_an_epoch_has_the_loaders_batches_in_its_order_wherever_rows_are_kept(
    make_loader, prefix, tmp_path
):
    loader = make_loader()
    for storage in storages(prefix, tmp_path):
        activations = Activations(loader, prefix, storage)
        activations.prepare(3)
        for own, other in zip(activations.epoch(5, 3), loader.epoch(5, view=3), strict=True):
            assert torch.equal(own.indices, other.indices)
            assert torch.equal(own.targets, other.targets)
            assert torch.equal(own.inputs, prefix.activations(other.inputs))


def test_an_image_goes_through_the_frozen_stages_once_per_view(make_loader, prefix, tmp_path):
    loader = make_loader()
    for storage in storages(prefix, tmp_path)[1:]:
        prefix.seen = 0
        for number in (1, 2, 3, 4):
            activations = Activations(loader, prefix, storage)
            activations.prepare(number % 2)
            assert sum(len(batch) for batch in activations.epoch(number, number % 2)) == 14
        assert prefix.seen == 2 * 14


def test_without_a_storage_nothing_is_kept_or_found(make_loader, prefix):
    activations = Activations(make_loader(), prefix, None)
    activations.prepare(1)
    assert prefix.seen == 0
    assert len(activations.missing(1)) == 14


def test_views_of_one_image_differ_and_the_clean_one_is_always_the_same(make_loader, prefix):
    activations = Activations(make_loader(), prefix, MemoryStorage(prefix.size))
    assert not torch.equal(activations.everything(1), activations.everything(2))
    clean = [
        Activations(make_loader("none", seed=seed), prefix, None).everything(CLEAN)
        for seed in (0, 1)
    ]
    assert torch.equal(*clean)


def test_rows_that_turn_out_damaged_are_made_again(make_loader, prefix, tmp_path):
    activations = Activations(make_loader(), prefix, on_disk(prefix, tmp_path))
    whole = activations.everything(1)
    files = (path for path in tmp_path.rglob("*") if path.is_file())
    shard = max(files, key=lambda path: path.stat().st_size)
    content = bytearray(shard.read_bytes())
    content[-10] ^= 1
    shard.write_bytes(content)
    again = Activations(make_loader(), prefix, on_disk(prefix, tmp_path))
    assert torch.equal(again.read(range(14), 1), whole)


def test_every_image_is_told_of_as_it_is_made(make_loader, prefix, tmp_path):
    for storage in storages(prefix, tmp_path):
        told = []
        Activations(make_loader(), prefix, storage).everything(1, told.append)
        assert sum(told) == 14


def test_an_interrupt_loses_no_row_that_was_made(make_loader, prefix, tmp_path):
    def interrupt(images):
        raise KeyboardInterrupt

    entry = on_disk(prefix, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        Activations(make_loader(), prefix, entry).prepare(1, interrupt)
    assert len(Activations(make_loader(), prefix, entry).missing(1)) == 10
