from __future__ import annotations

import numpy as np
import pytest

from graft.data.augment import PRESETS, TRANSFORMS, Augmentation, RandAugment, augmentation
from graft.data.preprocess import Preprocess
from graft.data.transforms import HorizontalFlip, RandomResizedCrop, Rotation
from graft.errors import RecipeError


@pytest.mark.parametrize("name", [*PRESETS, *TRANSFORMS])
@pytest.mark.parametrize("preprocess", [Preprocess(32), Preprocess((24, 40), crop="squash")])
def test_every_view_has_the_networks_size(name, preprocess, make_photo):
    chosen = augmentation(name)
    if chosen is not None:
        view = chosen.view(make_photo(90, 60), preprocess, np.random.default_rng(0))
        assert view.size == (preprocess.width, preprocess.height)


def test_without_a_crop_in_front_the_clean_view_is_what_is_changed(make_photo):
    photo, preprocess = make_photo(90, 60), Preprocess(32)
    view = Augmentation((HorizontalFlip(0),)).view(photo, preprocess, np.random.default_rng(0))
    assert view.tobytes() == preprocess.view(photo).tobytes()


def test_none_is_no_augmentation():
    assert augmentation("none") is None
    assert augmentation([]) is None


@pytest.mark.parametrize(
    ("wanted", "transforms"),
    [
        ("hflip, rotation(15)", (HorizontalFlip(), Rotation(15))),
        ("crop(0.2,0.9),randaugment(1, 5)", (RandomResizedCrop(0.2, 0.9), RandAugment(1, 5))),
        ("basic,rotation", (*PRESETS["basic"], Rotation())),
        (["hflip(0.3)", Rotation(7)], (HorizontalFlip(0.3), Rotation(7))),
    ],
)
def test_lists_mean_what_they_say(wanted, transforms):
    assert augmentation(wanted) == Augmentation(transforms)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("hflop", "'hflip'"),
        ("basci", "'basic'"),
        ("hflip,,vflip", "no augmentation ''"),
        ("hflip(", "no augmentation"),
        ("rotation(lots)", "Rotation"),
        ("hflip(0.5,0.5)", "HorizontalFlip"),
        ("hflip(2)", "out of range"),
        ("strong(2)", "no augmentation 'strong\\(2\\)'|no augmentation 'strong'"),
    ],
)
def test_what_cannot_be_meant_is_named_with_the_way_out(wanted, words):
    with pytest.raises(RecipeError, match=words):
        augmentation(wanted)
