from __future__ import annotations

import gc
import io
import threading
from collections import Counter
from dataclasses import replace

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
from graft.errors import DataError, RecipeError
from graft.tasks import Classification

ANTS = Classification(("ants",))
SMALL = Preprocess(16)


@pytest.fixture
def manifest(make_folder) -> Manifest:
    return scan(make_folder({"train/ants": 7, "train/bees": 6, "val/bees": 3}))


def loader_of(manifest: Manifest, split: str = "train", **options) -> Loader:
    options = {"batch_size": 4, **options}
    return Loader(manifest.subset(split), Classification(manifest.classes), SMALL, **options)


def decoding_threads() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("graft-decode")]


def images_by_index(loader: Loader, epoch: int = 0) -> dict[int, bytes]:
    return {
        int(index): image.numpy().tobytes()
        for batch in loader.epoch(epoch)
        for index, image in zip(batch.indices, batch.inputs, strict=True)
        if index >= 0
    }


def test_a_class_missing_from_validation_does_not_shift_the_labels(manifest):
    (batch,) = loader_of(manifest, "val").epoch(0)
    assert manifest.classes == ("ants", "bees")
    assert batch.targets.tolist() == [1, 1, 1]


def test_a_batch_is_normalised_float_in_channels_last(manifest):
    batch = next(loader_of(manifest).epoch(0))
    assert batch.inputs.shape == (4, 3, 16, 16)
    assert batch.inputs.dtype == torch.float32
    assert batch.inputs.is_contiguous(memory_format=torch.channels_last)
    assert batch.targets.dtype == batch.indices.dtype == torch.int64


def test_the_clean_batch_is_exactly_decode_view_normalise(manifest):
    for sample, image in zip(
        manifest.subset("train"), images_by_index(loader_of(manifest)).values(), strict=True
    ):
        view = SMALL.view(decode(sample.path))
        assert SMALL.normalize(SMALL.pixels([view]))[0].numpy().tobytes() == image


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_kind_of_source_gives_the_same_pixels(make_folder, make_photo, orientation):
    root = make_folder({"ants": 1})
    path = root / "ants" / "000.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    make_photo().save(path, exif=exif)
    sources = [
        scan(root).samples[0],
        path,
        str(path),
        path.read_bytes(),
        io.BytesIO(path.read_bytes()),
        decode(path),
        np.asarray(decode(path)),
    ]
    (batch,) = Loader(sources, ANTS, SMALL, batch_size=len(sources)).epoch(0)
    assert all(torch.equal(image, batch.inputs[0]) for image in batch.inputs)
    assert batch.targets.tolist() == [0, -1, -1, -1, -1, -1, -1]


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("pad", [True, False])
@pytest.mark.parametrize("batch_size", [1, 3, 4, 13, 50])
def test_every_sample_comes_exactly_once(manifest, batch_size, pad, shuffle, balanced):
    loader = loader_of(manifest, batch_size=batch_size, pad=pad, shuffle=shuffle, balanced=balanced)
    batches = list(loader.epoch(3))
    assert len(batches) == len(loader)
    seen = Counter(int(index) for batch in batches for index in batch.indices)
    del seen[-1]
    assert seen == Counter(range(13))
    for batch in batches:
        real = batch.indices >= 0
        assert torch.equal(batch.targets[real], loader.targets[batch.indices[real]])


def test_balanced_batches_differ_by_one_at_most(manifest):
    sizes = [len(batch) for batch in loader_of(manifest, batch_size=6).epoch(0)]
    assert sizes == [5, 4, 4]
    sizes = [len(batch) for batch in loader_of(manifest, batch_size=6, balanced=False).epoch(0)]
    assert sizes == [6, 6, 1]


def test_padding_is_marked_and_zero(manifest):
    *_, last = loader_of(manifest, batch_size=8, pad=True).epoch(0)
    assert len(last) == 8
    assert last.targets[5:].tolist() == last.indices[5:].tolist() == [-1] * 3
    assert not last.inputs[5:].any()
    assert last.inputs.is_contiguous(memory_format=torch.channels_last)


def test_neither_workers_nor_batch_size_nor_company_change_a_samples_augmentation(manifest):
    options = {"augmentation": augmentation("strong,jitter,blur"), "shuffle": True, "seed": 5}
    alone = images_by_index(loader_of(manifest, workers=1, batch_size=2, **options), epoch=2)
    crowd = images_by_index(loader_of(manifest, workers=7, batch_size=5, **options), epoch=2)
    assert alone == crowd
    task, fewer = Classification(manifest.classes), manifest.subset("train")[5:]
    rest = images_by_index(Loader(fewer, task, SMALL, batch_size=3, **options), epoch=2)
    assert rest == {index - 5: image for index, image in alone.items() if index >= 5}


def test_each_epoch_and_each_seed_has_its_own_order_and_augmentation(manifest):
    options = {"augmentation": augmentation("basic"), "shuffle": True, "batch_size": 13}
    runs = [(0, 0), (0, 1), (1, 0)]
    batches = [next(loader_of(manifest, seed=s, **options).epoch(e)) for s, e in runs]
    assert len({tuple(batch.indices.tolist()) for batch in batches}) == 3
    images = [images_by_index(loader_of(manifest, seed=s, **options), e)[0] for s, e in runs]
    assert len(set(images)) == 3


def test_the_augmentation_of_unlabelled_sources_differs_between_them(make_photo):
    photo = make_photo()
    loader = Loader([photo] * 4, None, SMALL, batch_size=4, augmentation=augmentation("crop(0.1)"))
    assert len(set(images_by_index(loader).values())) == 4


@pytest.mark.parametrize("options", [{}, {"pad": True}])
def test_shards_share_the_epoch_out_in_equally_many_batches(manifest, options):
    shards = [
        list(loader_of(manifest, shuffle=True, shard=(rank, 3), **options).epoch(1))
        for rank in range(3)
    ]
    assert {len(batches) for batches in shards} == {2}
    seen = Counter(int(i) for batches in shards for batch in batches for i in batch.indices)
    del seen[-1]
    assert seen == Counter(range(13))


def test_a_file_that_changes_after_the_scan_stops_the_epoch_and_is_named(manifest):
    broken = manifest.subset("train")[-1].path
    with open(broken, "wb"):  # noqa: PTH123
        pass
    with pytest.raises(DataError, match=r"train/bees/005\.jpg. has changed"):
        list(loader_of(manifest).epoch(0))
    assert decoding_threads() == []


def test_an_unknown_label_is_named(manifest):
    with pytest.raises(DataError, match="'bees'"):
        Loader(manifest.subset("val"), Classification(("ants", "wasps")), SMALL, batch_size=4)


@pytest.mark.parametrize("overlap", [True, False])
def test_closing_early_stops_the_threads(manifest, overlap):
    batches = loader_of(manifest, batch_size=1, workers=3, overlap=overlap).epoch(0)
    next(batches)
    assert decoding_threads()
    batches.close()
    assert decoding_threads() == []


def test_dropping_the_iterator_stops_the_threads(manifest):
    for _ in loader_of(manifest, batch_size=1).epoch(0):
        break
    gc.collect()
    assert decoding_threads() == []


@pytest.mark.parametrize("overlap", [True, False])
@pytest.mark.parametrize("batch_size", [1, 8])
def test_what_is_decoded_ahead_is_bounded(batch_size, overlap, make_photo, monkeypatch):
    decoded = []
    photo = make_photo()

    def counting(source, shorter):
        decoded.append(source)
        return photo

    monkeypatch.setattr("graft.data.loader.decode", counting)
    options = {"batch_size": batch_size, "workers": 2, "overlap": overlap}
    batches = Loader([photo] * 400, None, SMALL, **options).epoch(0)
    next(batches)
    threading.Event().wait(0.2)
    assert len(decoded) <= (5 * max(batch_size, 2) if overlap else 64)
    batches.close()


@pytest.mark.parametrize("pad", [True, False])
@pytest.mark.parametrize("batch_size", [1, 5, 13])
def test_decoding_beside_the_network_and_in_turns_with_it_give_the_same_batches(
    manifest, batch_size, pad
):
    options = {"augmentation": augmentation("strong"), "shuffle": True, "batch_size": batch_size}
    beside, in_turns = (
        list(loader_of(manifest, overlap=overlap, pad=pad, **options).epoch(2))
        for overlap in (True, False)
    )
    for one, other in zip(beside, in_turns, strict=True):
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.targets, other.targets)
        assert torch.equal(one.indices, other.indices)


def test_without_an_accelerator_decoding_takes_turns(manifest, monkeypatch):
    for there in (True, False):
        monkeypatch.setattr(torch.accelerator, "is_available", lambda there=there: there)
        assert loader_of(manifest).overlap is there
        assert loader_of(manifest, overlap=not there).overlap is not there


def test_a_view_of_a_image_is_the_same_in_every_epoch(manifest):
    loader = loader_of(manifest, augmentation=augmentation("basic"), shuffle=True, batch_size=13)
    first, again, other = [(1, 7), (2, 7), (2, 8)]
    orders = [
        next(loader.epoch(number, view=view)).indices.tolist()
        for number, view in (first, again, other)
    ]
    assert orders[0] != orders[1] == orders[2]

    def images(number: int, view: int | None) -> dict[int, bytes]:
        (batch,) = loader.epoch(number, view=view)
        return {
            index: image.numpy().tobytes()
            for index, image in zip(batch.indices.tolist(), batch.inputs, strict=True)
        }

    assert images(*first) == images(*again) == images(7, None)
    assert all(image != images(*other)[index] for index, image in images(*again).items())


def test_some_images_come_in_the_order_asked_for_and_as_in_an_epoch(manifest):
    loader = loader_of(manifest, augmentation=augmentation("basic"), shuffle=True, pad=True)
    wanted = [11, 3, 7, 3, 0]
    some = list(loader.some(wanted, view=4))
    assert [batch.indices.tolist() for batch in some] == [wanted[:4], wanted[4:]]
    assert torch.equal(torch.cat([batch.targets for batch in some]), loader.targets[wanted])
    images = [image.numpy().tobytes() for batch in some for image in batch.inputs]
    whole = images_by_index(loader, 4)
    assert images == [whole[index] for index in wanted]


def counted(monkeypatch) -> list[object]:
    """Return a list that every call of the loader's `decode` adds its source to."""
    sources: list[object] = []

    def counting(source, shorter, sha256):
        sources.append(source)
        return decode(source, shorter, sha256)

    monkeypatch.setattr("graft.data.loader.decode", counting)
    return sources


def test_kept_pixels_are_decoded_once_and_change_no_number(manifest, monkeypatch):
    options = {"augmentation": augmentation("strong"), "shuffle": True}
    fresh = [images_by_index(loader_of(manifest, **options), epoch) for epoch in range(3)]
    decoded, pixels = counted(monkeypatch), PixelCache()
    kept = loader_of(manifest, pixels=pixels, **options)
    assert [images_by_index(kept, epoch) for epoch in range(3)] == fresh
    assert len(decoded) == len(pixels) == 13
    clean = loader_of(manifest, pixels=pixels)
    assert images_by_index(clean) == images_by_index(loader_of(manifest))
    assert len(decoded) == 13 + 13, "the second loader decodes, the one that shares does not"


def test_loaders_that_reduce_images_differently_do_not_share_them(make_folder, make_photo):
    root = make_folder({"ants": 1})
    make_photo(640, 480).save(root / "ants/000.jpg")
    samples, pixels = scan(root).samples, PixelCache()
    for size in (16, 64, 16):
        options = {"batch_size": 1, "pixels": pixels}
        (kept,) = Loader(samples, Classification(("ants",)), Preprocess(size), **options).epoch(0)
        (fresh,) = Loader(samples, Classification(("ants",)), Preprocess(size), batch_size=1).epoch(
            0
        )
        assert torch.equal(kept.inputs, fresh.inputs)
    assert len(pixels) == 2


def test_only_images_known_by_their_content_are_kept(manifest):
    pixels = PixelCache()
    nameless = [replace(sample, sha256="") for sample in manifest.subset("train")]
    for sources in (nameless, [sample.path for sample in nameless]):
        list(
            Loader(
                sources, Classification(manifest.classes), SMALL, batch_size=4, pixels=pixels
            ).epoch(0)
        )
    assert len(pixels) == 0


@pytest.mark.parametrize("overlap", [True, False])
def test_what_comes_before_an_unreadable_image_still_comes(make_photo, overlap):
    images = [make_photo(), make_photo(), b"", make_photo()]
    batches = Loader(images, None, SMALL, batch_size=2, overlap=overlap).epoch(0)
    assert next(batches).indices.tolist() == [0, 1]
    with pytest.raises(DataError, match="zero bytes"):
        next(batches)


def test_nothing_to_load_gives_no_batches():
    loader = Loader([], None, SMALL, batch_size=4)
    assert len(loader) == 0
    assert list(loader.epoch(0)) == []


def test_a_batch_size_below_one_is_refused():
    with pytest.raises(RecipeError, match="batch size of 0"):
        Loader([], None, SMALL, batch_size=0)


def test_a_batch_moves_to_a_device_as_a_whole(manifest):
    moved = next(loader_of(manifest).epoch(0)).to("meta")
    assert {t.device.type for t in (moved.inputs, moved.targets, moved.indices)} == {"meta"}


def test_a_image_that_cannot_be_read_becomes_padding_and_its_reason_is_noted(make_photo) -> None:
    failures: dict[int, str] = {}
    images = [b"", make_photo(), b"no image", b"", make_photo(seed=1)]
    loader = Loader(
        images, None, Preprocess(8), batch_size=2, pad=True, workers=2, failures=failures
    )
    indices = [batch.indices.tolist() for batch in loader.epoch(0)]
    assert indices == [[1, -1], [-1, -1], [4, -1]]
    assert sorted(failures) == [0, 2, 3]
    assert "zero bytes" in failures[0]
