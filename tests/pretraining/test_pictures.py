import numpy as np
import pytest
import torch
from PIL import Image

from graft.data.loader import Loader
from graft.data.preprocess import Preprocess
from graft.pretraining.images import FolderImages, GeneratedImages
from graft.pretraining.views import SECOND, simclr_augmentation
from graft.procedural import Scenes
from graft.tasks import Classification

FEW = {"waves": 2, "superformulas": 1, "rosettes": 2, "fractals": 1, "strokes": 1, "textures": 3}


def generated(workers=0, **options):
    scenes = Scenes(size=16, **FEW)
    return GeneratedImages(scenes, Preprocess(16), 12, batch_size=5, workers=workers, **options)


def test_the_number_of_threads_changes_nothing():
    options = {"augmentation": simclr_augmentation(16), "views": 2}
    alone = list(generated(0, **options).epoch(2))
    together = list(generated(2, **options).epoch(2))
    for one, same in zip(alone, together, strict=True):
        assert torch.equal(one.targets, same.targets)
        assert torch.equal(one.inputs, same.inputs)
        assert torch.equal(one.streams[SECOND].inputs, same.streams[SECOND].inputs)


def test_each_epoch_shows_new_images_and_none_that_is_held_out():
    images = generated()
    shown = [torch.cat([batch.inputs for batch in images.epoch(number)]) for number in (1, 2)]
    kept = torch.cat([batch.inputs for batch in images.held_out(12)])
    everything = torch.cat([*shown, kept]).flatten(1)
    assert len(everything.unique(dim=0)) == 10 + 10 + 12


def test_an_epoch_may_begin_at_a_later_batch(folder):
    for images in (generated(), folder(1), folder(2)):
        whole, rest = list(images.epoch(1)), list(images.epoch(1, start=1))
        assert torch.equal(whole[1].inputs, rest[0].inputs)
        assert len(rest) == len(whole) - 1


def test_only_whole_batches_are_shown():
    assert [len(batch) for batch in generated().epoch(1)] == [5, 5]
    assert len(generated()) == 2


def test_the_pixels_are_those_of_the_scene():
    images = generated()
    [batch, _] = images.epoch(1)
    scene = images.scenes.image(0)
    pixels = torch.from_numpy(scene.pixels.copy()).permute(2, 0, 1)[None]
    assert torch.equal(batch.inputs[0], images.preprocess.normalize(pixels)[0])
    assert batch.targets[0].tolist() == list(scene.labels)


def test_two_views_of_a_image_differ():
    images = generated(augmentation=simclr_augmentation(16), views=2)
    for batch in images.epoch(1):
        assert (batch.inputs != batch.streams[SECOND].inputs).flatten(1).any(dim=1).all()


@pytest.fixture
def folder():
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)) for _ in range(6)]

    def make(views, task=None):
        options = {"batch_size": 4}
        train = Loader(
            images,
            task,
            Preprocess(16),
            augmentation=simclr_augmentation(16),
            shuffle=True,
            **options,
        )
        return FolderImages(train, Loader(images, task, Preprocess(16), **options), views=views)

    return make


def test_a_folder_gives_pairs_or_single_views(folder):
    for views in (1, 2):
        batches = list(folder(views).epoch(1))
        assert [len(batch.streams) for batch in batches] == [views - 1] * 2
        assert sum(map(len, batches)) == 6


def test_a_folder_holds_out_clean_images_in_order(folder):
    images = folder(1)
    for batch in images.held_out(3):
        assert len(batch) == 3
        again = next(iter(images.clean.epoch(0))).inputs[:3]
        assert torch.equal(batch.inputs, again)


def test_nothing_is_known_of_a_folder_without_labels(folder):
    assert folder(2).factors == {}
    assert folder(1, Classification(("ants", "bees"))).factors == {"class": 2}
