import numpy as np
import pytest

from graft.procedural import UNSEEN, Scenes

FEW = {"waves": 3, "superformulas": 2, "rosettes": 3, "fractals": 2, "strokes": 3, "textures": 6}


@pytest.fixture(scope="module")
def scenes():
    return Scenes(size=32, **FEW)


@pytest.fixture(scope="module")
def labels():
    scenes = Scenes(size=16, glyphs=False, **FEW)
    return scenes.factors, np.array([scenes.image(number).labels for number in range(900)])


def test_a_image_depends_on_seed_and_number_alone(scenes):
    other = Scenes(size=32, **FEW)
    later = [other.image(number) for number in (9, 3)]
    earlier = [scenes.image(number) for number in (3, 9)]
    for one, same in zip(earlier, reversed(later), strict=True):
        assert np.array_equal(one.pixels, same.pixels)
        assert one.labels == same.labels
    assert not np.array_equal(earlier[0].pixels, Scenes(size=32, seed=1, **FEW).image(3).pixels)


def test_labels_are_categories_or_unseen_and_every_category_occurs(labels):
    factors, labels = labels
    for column, (name, count) in zip(labels.T, factors.items(), strict=True):
        seen = column[column != UNSEEN]
        count -= name == "family"  # there are no glyphs
        assert set(seen) == set(range(count)), name
        assert len(seen) > len(column) / 3, name
    assert (labels[:, :2] != UNSEEN).all(), "every image has a shape"


def test_no_factor_but_the_family_tells_another(labels):
    _, labels = labels
    for first in range(1, labels.shape[1]):
        for second in range(1, first):
            both = (labels[:, [first, second]] != UNSEEN).all(axis=1)
            one, other = labels[both][:, [first, second]].T
            assert abs(np.corrcoef(one, other)[0, 1]) < 0.15


def test_a_flat_shape_has_no_texture_and_a_grey_image_no_palette(scenes):
    drawn = [scenes.image(number) for number in range(400)]
    grey = [image for image in drawn if np.ptp(image.pixels.astype(int), axis=2).max() == 0]
    assert grey
    assert all(image.labels[4:] == (UNSEEN, UNSEEN) for image in grey)
    letters = range(10, scenes.factors["shape"])
    thin = [image for image in drawn if image.labels[1] in letters]
    assert thin
    assert all(image.labels[2] == UNSEEN for image in thin)


@pytest.mark.parametrize("size", [16, 64, 96])
def test_images_come_in_any_size(size):
    assert Scenes(size=size, **FEW).image(0).pixels.shape == (size, size, 3)


def test_the_family_is_that_of_the_shape(scenes):
    shapes = {}
    for number in range(400):
        family, shape, *_ = scenes.image(number).labels
        assert shapes.setdefault(shape, family) == family
    assert set(shapes.values()) == set(range(6))


def test_images_without_glyphs_have_fewer_shapes():
    assert Scenes(glyphs=False, **FEW).factors["shape"] == 13
