"""Promises of the pairs of views: who they are of, what they follow from, what they cost."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from graft.data.augment import augmentation
from graft.data.decode import decode
from graft.data.loader import Loader
from graft.data.manifest import Manifest
from graft.data.prefetch import PixelCache
from graft.data.preprocess import Preprocess
from graft.data.scan import scan
from graft.data.transforms import ColorJitter, HorizontalFlip
from graft.errors import DataError, RecipeError
from graft.pretraining.views import SECOND, RandomApply, pairs, simclr_augmentation
from graft.tasks import Classification

SIMCLR = simclr_augmentation(16)


@pytest.fixture
def manifest(make_folder) -> Manifest:
    return scan(make_folder({"ants": 7, "bees": 6}))


def loader_of(manifest: Manifest, samples=None, **options) -> Loader:
    options = {"batch_size": 4, "augmentation": SIMCLR, "shuffle": True, "seed": 5, **options}
    samples = manifest.samples if samples is None else samples
    return Loader(samples, Classification(("ants", "bees")), Preprocess(16), **options)


def both(batch):
    return batch.inputs, batch.streams[SECOND].inputs


def by_index(loader: Loader, epoch: int = 0) -> dict[int, tuple[bytes, bytes]]:
    return {
        index: (first.numpy().tobytes(), second.numpy().tobytes())
        for pair in pairs(loader, epoch)
        for index, first, second in zip(pair.indices.tolist(), *both(pair), strict=True)
    }


def test_every_image_is_seen_twice_in_every_epoch(manifest):
    batches = list(pairs(loader_of(manifest), 0))
    assert sorted(torch.cat([pair.indices for pair in batches]).tolist()) == list(range(13))
    for pair in batches:
        first, second = both(pair)
        assert first.shape == second.shape == (len(pair), 3, 16, 16)
        assert first.dtype == torch.float32
        assert second.is_contiguous(memory_format=torch.channels_last)


def test_a_row_holds_two_different_views_of_one_image(manifest):
    loader = loader_of(manifest, augmentation=augmentation("hflip(0.5),jitter(0.2,0,0,0)"))
    clean = loader_of(manifest, augmentation=None, shuffle=False, batch_size=13)
    (images,) = clean.epoch(0)
    for pair in pairs(loader, 0):
        for view in both(pair):
            upright = torch.stack([view, view.flip(3)], dim=1)  # undo the flip, whichever it was
            distance = (upright.unsqueeze(2) - images.inputs).square().mean((3, 4, 5)).amin(1)
            assert distance.argmin(1).tolist() == pair.indices.tolist()
        assert not torch.equal(*both(pair))


def test_no_two_epochs_share_a_view(manifest):
    views = [
        view
        for epoch in range(4)
        for two in by_index(loader_of(manifest), epoch).values()
        for view in two
    ]
    assert len(set(views)) == 4 * 2 * 13


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("pixels", [None, PixelCache(limit=20_000)])
def test_neither_threads_nor_caches_change_the_views(manifest, workers, overlap, pixels):
    loader = loader_of(manifest, workers=workers, overlap=overlap, pixels=pixels)
    assert by_index(loader, 3) == by_index(loader_of(manifest, workers=1), 3)


def test_the_order_of_the_samples_does_not_change_their_views(manifest):
    backwards = loader_of(manifest, manifest.samples[::-1], batch_size=3)
    expected = by_index(loader_of(manifest))
    assert {12 - index: views for index, views in by_index(backwards).items()} == expected


def test_another_seed_gives_other_views(manifest):
    assert by_index(loader_of(manifest, seed=6))[0] != by_index(loader_of(manifest))[0]


@pytest.mark.parametrize("overlap", [False, True])
def test_a_file_is_decoded_once_for_both_of_its_views(manifest, overlap, monkeypatch):
    decoded = Counter()

    def counting(path, shorter, sha256):
        decoded[path] += 1
        return decode(path, shorter, sha256)

    monkeypatch.setattr("graft.data.loader.decode", counting)
    loader = loader_of(manifest, overlap=overlap, workers=3)
    assert len(by_index(loader)) == 13
    assert set(decoded.values()) == {1}
    by_index(loader, 1)
    assert set(decoded.values()) == {2}
    assert loader.pixels is None


def test_a_image_that_can_no_longer_be_read_is_named(manifest):
    gone = Path(manifest.samples[3].path)
    gone.unlink()
    with pytest.raises(DataError, match=f"{gone.name}.*no such file"):
        by_index(loader_of(manifest))


@pytest.mark.parametrize("overlap", [False, True])
def test_closing_stops_the_threads(manifest, overlap):
    batches = pairs(loader_of(manifest, batch_size=1, overlap=overlap), 0)
    next(batches)
    batches.close()
    gc.collect()
    assert not [t.name for t in threading.enumerate() if t.name.startswith("graft-decode")]


def test_images_and_arrays_need_no_files(make_photo):
    photo = make_photo()
    loader = Loader(
        [photo, np.asarray(photo)], None, Preprocess(16), batch_size=2, augmentation=SIMCLR
    )
    (pair,) = pairs(loader, 0)
    assert pair.to("cpu").streams[SECOND].inputs.shape == (2, 3, 16, 16)


@pytest.mark.parametrize("options", [{"augmentation": None}, {"pad": True}])
def test_a_loader_whose_pairs_would_be_of_no_use_is_refused(manifest, options):
    with pytest.raises(RecipeError, match="Pairs of views need"):
        next(pairs(loader_of(manifest, **options), 0))


def test_a_transform_is_applied_as_often_as_asked():
    rng, image = np.random.default_rng(0), Image.fromarray(np.eye(4, dtype=np.uint8)).convert("RGB")
    apply = RandomApply(HorizontalFlip(p=1), p=0.8)
    changed = sum(apply.apply(image, rng) is not image for _ in range(1000))
    assert 760 <= changed <= 840
    with pytest.raises(RecipeError, match="probability"):
        RandomApply(HorizontalFlip(), p=1.5)


def test_the_augmentation_of_simclr_is_the_papers():
    crop, flip, jitter, gray, blur = simclr_augmentation(224).transforms
    assert (crop.min_scale, crop.max_scale, flip.p) == (0.2, 1.0, 0.5)
    assert jitter == RandomApply(ColorJitter(0.8, 0.8, 0.8, 0.2), p=0.8)
    assert (gray.p, blur.p, blur.max_sigma) == (0.2, 0.5, 2.0)


@pytest.mark.parametrize("size", [1, 8, 32, 600])
def test_the_blur_is_in_proportion_to_the_image(size, make_photo):
    view = simclr_augmentation(size).view(make_photo(), Preprocess(size), np.random.default_rng(3))
    assert view.size == (size, size)
    assert simclr_augmentation(size).transforms[-1].max_sigma == max(0.1, size / 112)


def test_without_strength_the_colours_stay(make_photo):
    jitter = simclr_augmentation(16, strength=0).transforms[2].transform
    assert np.array_equal(
        np.asarray(ColorJitter(0, 0, 0, 0).apply(make_photo(), np.random.default_rng(0))),
        np.asarray(jitter.apply(make_photo(), np.random.default_rng(0))),
    )
    with pytest.raises(RecipeError, match="out of range"):
        simclr_augmentation(16, strength=2)
