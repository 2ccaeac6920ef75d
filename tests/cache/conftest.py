"""Images and a small network for the cache."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from graft.data.augment import augmentation
from graft.data.loader import Loader
from graft.data.manifest import Manifest
from graft.data.scan import scan
from graft.tasks import Classification
from tests.training.networks import make_backbone


@pytest.fixture(scope="session")
def manifest(tmp_path_factory) -> Manifest:
    """Two classes of noise, seven images each to train on and four to validate."""
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for split, count in (("train", 7), ("val", 4)):
        for label in ("ants", "bees"):
            folder = root / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                noise = rng.integers(256, size=(20, 24, 3), dtype=np.uint8)
                Image.fromarray(noise).save(folder / f"{number}.png")
    return scan(root)


@pytest.fixture
def backbone():
    """Three stages with BatchNorm and drop-out, and a skip over all of them."""
    return make_backbone([(False, True), (True, True), (False, False)], far=True, seed=0)


@pytest.fixture
def make_loader(manifest, backbone):
    """Make a loader of the training images."""

    def make(augment: str = "basic", *, seed: int = 0, split: str = "train", **options) -> Loader:
        return Loader(
            manifest.subset(split),
            Classification(manifest.classes),
            backbone.preprocess,
            batch_size=4,
            augmentation=augmentation(augment),
            shuffle=split == "train",
            seed=seed,
            **options,
        )

    return make
