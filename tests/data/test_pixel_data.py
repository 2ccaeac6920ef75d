"""Images that are rows of numbers: CSVs of pixels and IDX files."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.conftest import MakePhoto

from graft.data import pixel_data
from graft.data.decode import decode
from graft.data.manifest import Manifest, assign_splits
from graft.data.read import require_unchanged
from graft.data.scan import scan
from graft.errors import DataError, ResourceError

Images = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the user's cache out of the tests."""
    monkeypatch.setenv("GRAFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "datasets"


def grey(count: int = 6, side: int = 28, seed: int = 0) -> Images:
    """Make different grey images."""
    return np.random.default_rng(seed).integers(256, size=(count, side, side), dtype=np.uint8)


def table(
    path: Path,
    images: Images,
    *,
    names: Sequence[str] | None = (),
    last: bool = False,
    label: str = "label",
    separator: str = ",",
) -> Path:
    """Write images as a CSV of pixels; labels are 0, 1, 0, 1...; `names=None` leaves names out."""
    rows = images.reshape(len(images), -1).tolist()
    pixels = list(names or [f"pixel{number}" for number in range(1, len(rows[0]) + 1)])
    lines = [] if names is None else [[*pixels, label] if last else [label, *pixels]]
    for number, row in enumerate(rows):
        lines.append([*row, number % 2] if last else [number % 2, *row])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(separator.join(map(str, line)) + "\n" for line in lines))
    return path


def idx(
    folder: Path, name: str, images: Images, labels: Sequence[int], end: str = "", dot: str = "-"
) -> Path:
    """Write images and labels as a pair of IDX files, compressed where `end` is ".gz"."""
    folder.mkdir(parents=True, exist_ok=True)
    pack = gzip.compress if end == ".gz" else bytes
    head = struct.pack(f">HBB{images.ndim}I", 0, 8, images.ndim, *images.shape)
    path = folder / f"{name}-images{dot}idx{images.ndim}-ubyte{end}"
    path.write_bytes(pack(head + images.tobytes()))
    head = struct.pack(">HBBI", 0, 8, 1, len(labels))
    (folder / f"{name}-labels{dot}idx1-ubyte{end}").write_bytes(pack(head + bytes(labels)))
    return path


def shown(manifest: Manifest) -> list[tuple[str, Images]]:
    """Return label and decoded pixels of every sample."""
    return [
        (sample.label, np.asarray(decode(sample.path, sha256=sample.sha256)))
        for sample in manifest.samples
    ]


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"names": [f"pixel{number}" for number in range(784)]},
        {"names": [f"{row}x{column}" for row in range(1, 29) for column in range(1, 29)]},
        {"names": [f"pixel{number:04}" for number in range(784)], "last": True, "label": "class"},
        {"names": None},
        {"names": [str(number) for number in range(1, 785)], "label": "0"},
        {"separator": "\t"},
        {"separator": ";", "label": '"Label"'},
    ],
)
def test_a_csv_of_pixels_is_read_in_each_of_its_usual_forms(tmp_path, form):
    images = grey()
    manifest = scan(table(tmp_path / "sign_mnist_train.csv", images, **form))
    for number, (label, pixels) in enumerate(shown(manifest)):
        assert label == str(number % 2)
        assert (pixels == images[number][..., None]).all()
    assert manifest.notes == (
        "'sign_mnist_train.csv' holds 6 grey images of 28 x 28 pixels as rows of numbers.",
    )
    assert assign_splits(manifest).counts().keys() == {"train", "val"}


@pytest.mark.parametrize("planar", [False, True])
def test_the_order_of_colours_is_recognised_and_said(tmp_path, make_photo: MakePhoto, planar):
    photos = np.stack([np.asarray(make_photo(32, 32, seed=seed)) for seed in range(4)])
    written = photos.transpose(0, 3, 1, 2) if planar else photos
    manifest = scan(table(tmp_path / "cifar.csv", np.ascontiguousarray(written)))
    for (_, pixels), photo in zip(shown(manifest), photos, strict=True):
        assert (pixels == photo).all()
    order = "colour by colour" if planar else "pixel by pixel"
    assert manifest.notes == (
        f"'cifar.csv' holds 4 colour images of 32 x 32 pixels as rows of numbers, {order}.",
    )


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(8, 12), st.integers(0, 3), st.booleans())
def test_every_pixel_arrives_from_a_table_as_from_an_idx_file(tmp_path, side, seed, packed):
    images = grey(3, side, seed)
    file = idx(tmp_path / f"{side}-{seed}", "train", images, [0, 1, 0], ".gz" if packed else "")
    as_idx = scan(file)
    as_table = scan(table(tmp_path / f"{side}-{seed}.csv", images))
    for (_, pixels), image in zip(shown(as_idx), images, strict=True):
        assert (pixels == image[..., None]).all()
    # The same pixels are the same content, whatever file they came from.
    assert [s.sha256 for s in as_idx.samples] == [s.sha256 for s in as_table.samples]


@pytest.mark.parametrize(("end", "dot"), [("", "-"), (".gz", "-"), ("", ".")])
@pytest.mark.parametrize("below", ["", "raw", "MNIST/raw"])
def test_a_folder_of_idx_files_has_their_splits(tmp_path, end, dot, below):
    idx(tmp_path / "data" / below, "train", grey(4), [0, 1, 2, 3], end, dot)
    idx(tmp_path / "data" / below, "t10k", grey(2, seed=1), [3, 0], end, dot)
    assert scan(tmp_path / "data").counts() == {
        "train": {"0": 1, "1": 1, "2": 1, "3": 1},
        "test": {"0": 1, "3": 1},
    }


def test_an_idx_file_that_is_there_packed_and_unpacked_is_read_once(tmp_path):
    for end in ("", ".gz"):
        idx(tmp_path / "mnist", "train", grey(4), [0, 1, 0, 1], end)
    assert len(scan(tmp_path / "mnist").samples) == 4


def test_idx_images_may_be_oblong_and_in_colour(tmp_path):
    images = np.random.default_rng(0).integers(256, size=(2, 5, 7, 3), dtype=np.uint8)
    manifest = scan(idx(tmp_path, "train", images, [0, 1]))
    assert [(sample.width, sample.height) for sample in manifest.samples] == [(7, 5)] * 2
    assert all(
        (pixels == image).all() for (_, pixels), image in zip(shown(manifest), images, strict=True)
    )


def test_a_folder_of_csvs_has_their_splits_and_says_what_is_left_out(tmp_path):
    folder = tmp_path / "digits"
    table(folder / "mnist_train.csv", grey(4))
    table(folder / "mnist_test.csv", grey(2, seed=1))
    bare = ",".join(f"pixel{n}" for n in range(784)) + "\n" + ",".join(["0"] * 784) + "\n"
    (folder / "submission_pixels.csv").write_text(bare)
    (folder / "sample_submission.csv").write_text("ImageId,Label\n1,0\n")
    manifest = scan(folder)
    assert manifest.counts() == {"train": {"0": 2, "1": 2}, "test": {"0": 1, "1": 1}}
    assert manifest.notes[-1] == "Left out: 'submission_pixels.csv', which has no labels."


def test_a_folder_of_several_tables_that_could_be_meant_is_refused(tmp_path):
    for name in ("balanced_train.csv", "letters_train.csv"):
        table(tmp_path / "emnist" / name, grey(2))
    with pytest.raises(DataError, match=r"several files of pixels .*'balanced_train.csv', 'lett"):
        scan(tmp_path / "emnist")


def test_images_come_before_tables_of_pixels(make_folder):
    root = make_folder({"ants": 1, "bees": 1})
    table(root / "train.csv", grey(2))
    assert scan(root).counts() == {"": {"ants": 1, "bees": 1}}


@pytest.mark.parametrize("value", ["256", "-1", "0.5", "1e2", "", "x", "9" * 5000])
def test_a_value_that_is_no_pixel_is_named_by_line_and_column(tmp_path, cache, value):
    file = table(tmp_path / "train.csv", grey(3))
    lines = file.read_text().splitlines()
    cells = lines[2].split(",")
    cells[17] = value
    file.write_text("\n".join([lines[0], lines[1], ",".join(cells), lines[3]]))
    with pytest.raises(DataError) as caught:
        scan(file)
    assert f"Line 3 of '{file}' has '{value[:40]}' in the column 'pixel17'." in caught.value.problem
    assert "from 0 to 255" in caught.value.problem
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("label," + ",".join(f"pixel{n}" for n in range(700)) + "\n", "700 columns of pixels, whi"),
        (",".join(f"pixel{n}" for n in range(784)) + "\n", "columns of pixels and none of labels"),
        ("id," + ",".join(f"pixel{n}" for n in range(784)) + "\n", "none of labels"),
        ("label," + ",".join(f"pixel{n}" for n in range(783, -1, -1)) + "\n", "not in the order"),
        ("label," + ",".join(f"pixel{n}" for n in range(64)) + "\n1,2\n", "Line 2 .* has 2 cells"),
        (
            "label," + ",".join(f"pixel{n}" for n in range(64)) + "\n," + ",".join(["0"] * 64),
            "Line 2 .* has '' in the column 'label'",
        ),
        ("label," + ",".join(f"pixel{n}" for n in range(64)) + "\n", "holds no labelled images"),
    ],
)
def test_what_is_wrong_with_a_table_of_pixels_is_named(tmp_path, content, words):
    (tmp_path / "train.csv").write_text(content)
    with pytest.raises(DataError, match=words) as caught:
        scan(tmp_path / "train.csv")
    assert len(caught.value.problem) < 400, "it lists every column"


def test_the_error_of_another_table_does_not_list_hundreds_of_columns(tmp_path):
    (tmp_path / "t.csv").write_text(",".join(f"feature{n}" for n in range(700)) + "\n")
    with pytest.raises(DataError, match="feature19 and 680 more; expected path and label"):
        scan(tmp_path / "t.csv")


def header(*sizes: int, kind: int = 8) -> bytes:
    """Return the beginning of an IDX file."""
    return struct.pack(f">HBB{len(sizes)}I", 0, kind, len(sizes), *sizes)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (b"", "does not begin as an IDX file"),
        (b"PK\3\4" + bytes(100), "does not begin as an IDX file"),
        (header(2, 28, 28, kind=0x0D) + bytes(6272), "does not begin as an IDX file of bytes"),
        (header(2, 28)[:-2], "ends in its header"),
        (header(2, 28, 28) + bytes(1567), "ends before its last image"),
        (header(2, 28, 28) + bytes(1569), "goes on behind its last image"),
        (header(3, 28, 28) + bytes(2352), "has 3 images and .* 2 labels"),
        (header(2**32 - 1, 28, 28), "4,294,967,295 entries; 4,194,304 are the most"),
        (header(2, 2**32 - 1, 2**32 - 1), "images of shape"),
        (header(2, 513, 28), "images of shape"),
        (header(2, 0, 28), "images of shape"),
        (header(2), "images of shape"),
    ],
)
@pytest.mark.parametrize("end", ["", ".gz"])
def test_a_damaged_or_hostile_idx_file_is_refused(tmp_path, cache, images, words, end):
    file = idx(tmp_path, "train", grey(2), [0, 1], end)
    file.write_bytes(gzip.compress(images) if end else images)
    with pytest.raises(DataError, match=words):
        scan(file)
    assert not cache.exists() or list(cache.iterdir()) == []


def test_a_damaged_archive_is_named(tmp_path):
    file = idx(tmp_path, "train", grey(2), [0, 1], ".gz")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataError, match=f"'{file}' cannot be read"):
        scan(file)


def test_images_without_their_labels_are_refused_with_the_name_that_misses(tmp_path):
    file = idx(tmp_path, "train", grey(2), [0, 1])
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="Put 'train-labels-idx1-ubyte' into the same folder"):
        scan(file)


def test_more_images_than_allowed_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pixel_data, "MOST_IMAGES", 2)
    with pytest.raises(DataError, match="more than 2 images"):
        scan(table(tmp_path / "train.csv", grey(3)))


def test_a_line_without_end_takes_no_memory_without_end(tmp_path):
    file = tmp_path / "train.csv"
    with file.open("w") as writing:
        writing.write("label," + ",".join(f"pixel{n}" for n in range(64)) + "\n")
        for _ in range(40):
            writing.write("7" * 1_000_000)
    tracemalloc.start()
    with pytest.raises(DataError, match="has a line of more than"):
        scan(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30_000_000, "most of 40 MB were in memory"


def test_a_packed_file_of_zeros_takes_no_memory_without_end(tmp_path):
    file = idx(tmp_path, "train", grey(2), [0, 1], ".gz")
    file.write_bytes(gzip.compress(header(2, 28, 28) + bytes(100_000_000), 1))
    tracemalloc.start()
    with pytest.raises(DataError, match="goes on behind its last image"):
        scan(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000, "most of 100 MB were in memory"


def test_the_images_are_written_once_and_stay_what_was_hashed(tmp_path, cache, monkeypatch):
    file = table(tmp_path / "train.csv", grey())
    first = scan(file)
    monkeypatch.setattr(pixel_data, "write_out", lambda *_: pytest.fail("written twice"))
    assert scan(file) == first
    require_unchanged(first)
    path = Path(first.samples[0].path)
    assert path.is_relative_to(cache)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(DataError, match="changed"):
        require_unchanged(first)


def test_other_pixels_get_another_folder(tmp_path, cache):
    file = tmp_path / "train.csv"
    before = scan(table(file, grey()))
    after = scan(table(file, grey(seed=1)))
    assert {s.sha256 for s in before.samples}.isdisjoint(s.sha256 for s in after.samples)
    assert len(list(cache.iterdir())) == 2
    assert Path(before.samples[0].path).exists()


def test_a_full_disk_leaves_nothing_half_written(tmp_path, cache, monkeypatch):
    file = table(tmp_path / "train.csv", grey())
    written = []

    def failing(self: Path, data: bytes) -> int:
        written.append(self)
        if len(written) > 3:
            raise OSError(28, "No space left on device")
        return len(data)

    monkeypatch.setattr(Path, "write_bytes", failing)
    with pytest.raises(ResourceError, match="disk is full"):
        scan(file)
    assert list(cache.iterdir()) == []
