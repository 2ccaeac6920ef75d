"""Published sets, from real servers on this machine that stand in for the real ones."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import re
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.http_server import Serve

from graft.data.scan import scan
from graft.download import staying_offline
from graft.errors import DataError, ResourceError
from graft.samples import published
from graft.samples.published import Published

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("GRAFT_CACHE", str(folder))
    return folder


@pytest.fixture
def offered(serve: Serve):
    """Serve a file under a name; returns where it is and its checksum."""

    def offer(name: str, content: bytes) -> Published:
        site = serve(content)
        return Published(f"{site.address}/{name}", hashlib.sha256(content).hexdigest())

    return offer


def idx(array: np.ndarray) -> bytes:
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return gzip.compress(head + array.astype(np.uint8).tobytes())


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_mnist_arrives_as_folders(offered, tmp_path):
    train, test = (RNG.integers(256, size=(count, 28, 28), dtype=np.uint8) for count in (4, 2))
    files = (
        offered("train-images-idx3-ubyte.gz", idx(train)),
        offered("train-labels-idx1-ubyte.gz", idx(np.array([7, 1, 7, 1]))),
        offered("t10k-images-idx3-ubyte.gz", idx(test)),
        offered("t10k-labels-idx1-ubyte.gz", idx(np.array([1, 7]))),
    )
    published.write_mnist(tmp_path, files=files)
    assert scan(tmp_path).counts() == {"train": {"1": 2, "7": 2}, "test": {"1": 1, "7": 1}}
    assert (read(tmp_path / "train/7/00001.png") == train[2]).all()


def test_usps_arrives_as_folders(offered, tmp_path):
    images = RNG.integers(256, size=(3, 256), dtype=np.uint8)

    def packed(labels, images):
        lines = (
            " ".join([str(label), *(f"{n}:{v / 127.5 - 1:.6g}" for n, v in enumerate(image, 1))])
            for label, image in zip(labels, images, strict=True)
        )
        return bz2.compress("\n".join(lines).encode())

    files = (
        offered("usps.bz2", packed([10, 1], images[:2])),
        offered("usps.t.bz2", packed([1], images[2:])),
    )
    published.write_usps(tmp_path, files=files)
    assert scan(tmp_path).counts() == {"train": {"0": 1, "9": 1}, "test": {"0": 1}}
    assert (read(tmp_path / "train/9/00000.png").reshape(-1) == images[0]).all()


def test_cifar10_arrives_as_folders(offered, tmp_path):
    buffer = io.BytesIO()
    images = RNG.integers(256, size=(6, 3, 32, 32), dtype=np.uint8)
    contents = {"batches.meta.txt": b"airplane\nautomobile\n\n"}
    names = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
    for number, name in enumerate(names):
        contents[name] = bytes([number % 2]) + images[number].tobytes()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    published.write_cifar10(tmp_path, file=offered("cifar.tar.gz", buffer.getvalue()))
    assert scan(tmp_path).counts() == {
        "train": {"airplane": 3, "automobile": 2},
        "test": {"automobile": 1},
    }
    assert (read(tmp_path / "train/airplane/00001.png") == images[2].transpose(1, 2, 0)).all()


def test_cats_and_dogs_arrive_as_folders(offered, tmp_path, make_photo):
    buffer, photo = io.BytesIO(), io.BytesIO()
    make_photo().save(photo, "JPEG")
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("Cat/0.jpg", "Cat/1.jpg", "Dog/0.jpg"):
            archive.writestr(f"PetImages/{name}", photo.getvalue())
        archive.writestr("PetImages/Cat/Thumbs.db", b"rubbish")
        archive.writestr("readme[1].txt", b"")
    published.write_cats_dogs(tmp_path, file=offered("pets.zip", buffer.getvalue()))
    assert scan(tmp_path).counts() == {"train": {"cat": 2, "dog": 1}}
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 3


def test_chest_x_rays_arrive_as_folders(offered, tmp_path):
    buffer, arrays = io.BytesIO(), {}
    for split, count in (("train", 4), ("val", 2), ("test", 2)):
        arrays[f"{split}_images"] = RNG.integers(256, size=(count, 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(count, dtype=np.uint8)[:, None] % 2
    np.savez(buffer, **arrays)
    published.write_pneumonia(tmp_path, file=offered("p.npz", buffer.getvalue()))
    assert scan(tmp_path).counts() == {
        "train": {"normal": 2, "pneumonia": 2},
        "val": {"normal": 1, "pneumonia": 1},
        "test": {"normal": 1, "pneumonia": 1},
    }
    assert (read(tmp_path / "train/normal/00001.png") == arrays["train_images"][2]).all()


def test_an_archive_with_pickles_is_not_read(offered, tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, train_labels=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="is not what it should be"):
        published.write_pneumonia(tmp_path, file=offered("p.npz", buffer.getvalue()))


@pytest.mark.parametrize(
    ("write", "options"),
    [
        (published.write_mnist, "files"),
        (published.write_usps, "files"),
        (published.write_cifar10, "file"),
        (published.write_cats_dogs, "file"),
        (published.write_pneumonia, "file"),
    ],
)
def test_a_damaged_or_missing_file_is_an_error_that_names_it(serve, tmp_path, write, options):
    site = serve(b"not the set")
    named = Published(f"{site.address}/set.zip", "0" * 64)
    given = (named,) * (4 if write is published.write_mnist else 2) if options == "files" else named
    with pytest.raises(ResourceError, match="is damaged"):
        write(tmp_path, **{options: given})
    with staying_offline(), pytest.raises(ResourceError, match="Graft is offline"):
        write(tmp_path, **{options: given})
    unchecked = (
        given._replace(sha256=None)
        if options == "file"
        else [each._replace(sha256=None) for each in given]
    )
    with pytest.raises(DataError, match=re.escape("set.zip")):
        write(tmp_path, **{options: unchecked})


def test_every_published_file_has_a_whole_checksum_and_comes_by_https():
    sets = (*published.MNIST, *published.USPS, published.CIFAR10, published.CATS_DOGS)
    for file in (*sets, published.PNEUMONIA):
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256 or "")
        assert file.url.startswith("https://")
