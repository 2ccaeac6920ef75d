"""Published sets of the courses: MNIST, USPS, CIFAR-10, cats and dogs, chest X-rays.

Each is fetched once, compared with its SHA-256 and written as folders of images. Nothing of an
archive is run or unpickled.
"""

from __future__ import annotations

import bz2
import tarfile
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from graft.download import download
from graft.errors import DataError
from graft.files import wrap_os_errors
from graft.samples.hymenoptera import unzip
from graft.user_cache import user_cache

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Published(NamedTuple):
    """A file on a server, and what it must be."""

    url: str
    sha256: str | None


_MNIST = "https://storage.googleapis.com/cvdf-datasets/mnist/"
MNIST = (
    Published(
        f"{_MNIST}train-images-idx3-ubyte.gz",
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    Published(
        f"{_MNIST}train-labels-idx1-ubyte.gz",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    Published(
        f"{_MNIST}t10k-images-idx3-ubyte.gz",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    Published(
        f"{_MNIST}t10k-labels-idx1-ubyte.gz",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
)
_LIBSVM = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/"
USPS = (
    Published(
        f"{_LIBSVM}usps.bz2", "3771e9dd6ba685185f89867b6e249233dd74652389f263963b3b741e994b034f"
    ),
    Published(
        f"{_LIBSVM}usps.t.bz2", "a9c0164e797d60142a50604917f0baa604f326e9a689698763793fa5d12ffc4e"
    ),
)
CIFAR10 = Published(
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
)
CATS_DOGS = Published(
    "https://download.microsoft.com/download/3/E/1/3E1C3F21-ECDB-4869-8368-6DEBA77B919F/"
    "kagglecatsanddogs_5340.zip",
    "b7974bd00a84a99921f36ee4403f089853777b5ae8d151c76a86e64900334af9",
)
PNEUMONIA = Published(
    "https://zenodo.org/records/10519652/files/pneumoniamnist.npz",
    "e1792d3f03751cb101e99f19a63b3c1941436c988665f47853417b05be250cd8",
)
"""The checksums of USPS are those of torchvision (datasets prototype), that of cats and dogs those
of GoMLX's examples, all others those of TensorFlow Datasets (url_checksums)."""

USPS_SIDE, CIFAR_SIDE = 16, 32
_USPS_IMAGES = 1 << 15
_USPS_LINE = 1 << 14
_MOST_BYTES = 2 << 30


def write_mnist(folder: Path, *, seed: int = 0, files: tuple[Published, ...] = MNIST) -> None:
    """Write MNIST as `train|test/<digit>/<number>.png`, grey, 28 x 28 pixels.

    Args:
        folder: An existing folder.
        seed: Nothing is drawn here, nor by the other functions of this file.
        files: Images and labels of training, then of the test.

    Raises:
        ResourceError: Graft is offline and a file is not in the cache, the server fails, a file is
            another than it should be, or the disk is full. So do the other functions.
        DataError: A file is not what it should be.
    """
    import numpy as np

    from graft.data.pixel_data import read_idx

    places = [_fetched(file, "MNIST") for file in files]
    for split, images, labels in zip(("train", "test"), places[::2], places[1::2], strict=True):
        with _broken(images):
            (height, width, _), rows = read_idx(images, labels)
            writer = _Writer(folder, split)
            for label, pixels in rows:
                writer.add(label, np.frombuffer(pixels, np.uint8).reshape(height, width))


def write_usps(folder: Path, *, seed: int = 0, files: tuple[Published, ...] = USPS) -> None:
    """Write USPS as `train|test/<digit>/<number>.png`, grey, 16 x 16 pixels; see `write_mnist`."""
    import numpy as np

    for split, file in zip(("train", "test"), files, strict=True):
        place = _fetched(file, "USPS")
        writer = _Writer(folder, split)
        with _broken(place), bz2.open(place) as lines:
            for number in range(_USPS_IMAGES + 1):
                line = lines.readline(_USPS_LINE)
                if not line:
                    break
                label, *cells = line.split()
                values = np.array([float(cell.rpartition(b":")[2]) for cell in cells])
                if number == _USPS_IMAGES or not 1 <= int(label) <= 10:
                    raise ValueError(f"line {number + 1} is not expected")
                grey = np.rint((values.reshape(USPS_SIDE, USPS_SIDE).clip(-1, 1) + 1) * 127.5)
                writer.add(str(int(label) - 1), grey.astype(np.uint8))


def write_cifar10(folder: Path, *, seed: int = 0, file: Published = CIFAR10) -> None:
    """Write CIFAR-10 as `train|test/<class>/<number>.png`, RGB, 32 x 32; see `write_mnist`."""
    import numpy as np

    place = _fetched(file, "CIFAR-10")
    size = 3 * CIFAR_SIDE**2
    writers = {"test_batch.bin": _Writer(folder, "test")}
    train = _Writer(folder, "train")
    writers |= {f"data_batch_{number}.bin": train for number in range(1, 6)}
    with _broken(place), tarfile.open(place) as archive:
        members = {member.name.rpartition("/")[2]: member for member in archive if member.isfile()}
        named = archive.extractfile(members["batches.meta.txt"])
        classes = named.read(1000).decode("ascii").split() if named else []
        for name, writer in writers.items():
            batch = archive.extractfile(members[name])
            while batch and (record := batch.read(1 + size)):
                pixels = np.frombuffer(record[1:], np.uint8).reshape(3, CIFAR_SIDE, CIFAR_SIDE)
                writer.add(classes[record[0]], pixels.transpose(1, 2, 0))


def write_cats_dogs(folder: Path, *, seed: int = 0, file: Published = CATS_DOGS) -> None:
    """Write cats and dogs as `train/<class>/<number>.jpg`; see `write_mnist`.

    A few of the files are damaged; a scan sets them aside.
    """
    place = _fetched(file, "Cats and dogs")
    with tempfile.TemporaryDirectory(prefix=".unzip-", dir=folder) as staged:
        unzip(place, Path(staged), most_bytes=_MOST_BYTES)
        (folder / "train").mkdir()
        for name in ("Cat", "Dog"):
            source = Path(staged) / "PetImages" / name
            if not source.is_dir():
                raise DataError(f"'{place}' does not hold PetImages/{name}.", "Delete it.")
            for rubbish in source.glob("*.db"):
                rubbish.unlink()
            source.rename(folder / "train" / name.casefold())


def write_pneumonia(folder: Path, *, seed: int = 0, file: Published = PNEUMONIA) -> None:
    """Write chest X-rays as `train|val|test/normal|pneumonia/<number>.png`, grey, 28 x 28 pixels.

    They are PneumoniaMNIST (Yang et al. 2023, doi:10.1038/s41597-022-01721-8); see `write_mnist`.
    """
    import numpy as np

    place = _fetched(file, "The chest X-rays")
    with _broken(place), np.load(place, allow_pickle=False) as arrays:
        for split in ("train", "val", "test"):
            writer = _Writer(folder, split)
            labels = arrays[f"{split}_labels"].reshape(-1).tolist()
            for label, image in zip(labels, arrays[f"{split}_images"], strict=True):
                writer.add(("normal", "pneumonia")[label], image)


class _Writer:
    """Writes the images of a split as PNG, numbered within their class."""

    def __init__(self, folder: Path, split: str) -> None:
        self.folder, self.counts = folder / split, Counter[str]()

    def add(self, label: str, pixels: NDArray[np.uint8]) -> None:
        """Write a grey (H, W) or an RGB (H, W, 3) image."""
        from PIL import Image

        place = self.folder / label
        with wrap_os_errors(place):
            if not self.counts[label]:
                place.mkdir(parents=True)
            Image.fromarray(pixels).save(place / f"{self.counts[label]:05}.png")
        self.counts[label] += 1


def _fetched(file: Published, what: str) -> Path:
    return download(
        file.url,
        user_cache() / "downloads",
        what=what,
        hint="fetch that file elsewhere and give it, unpacked, to `graft fit`; `graft samples "
        "digits DIR` needs no network",
        sha256=file.sha256,
    )


@contextmanager
def _broken(place: Path) -> Iterator[None]:
    """Turn what damage makes readers raise into an error that names the file."""
    try:
        yield
    except (
        EOFError,
        IndexError,
        KeyError,
        OSError,
        ValueError,
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise DataError(
            f"'{place}' is not what it should be: {error}.", "Delete it and try again."
        ) from error
