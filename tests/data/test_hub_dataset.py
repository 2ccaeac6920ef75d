"""Hugging Face datasets through `scan`: saved in a folder, or fetched from the hub."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import MakePhoto

from graft.data import hub_dataset
from graft.data.hub_dataset import HubName, hub_name, is_saved_dataset
from graft.data.image_files import ImageFiles, read_back, write_out
from graft.data.manifest import assign_splits
from graft.data.scan import locate, scan
from graft.errors import DataError, ResourceError

datasets = pytest.importorskip("datasets", reason="the extra [datasets] is not installed")
CLASSES = datasets.ClassLabel(names=["bees", "ants"])
COMMIT = "0123456789abcdef0123456789abcdef01234567"
Photo = Callable[..., bytes]
Rows = Sequence[tuple[bytes | None, object]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the user's cache out of the tests."""
    monkeypatch.setenv("GRAFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "datasets"


@pytest.fixture
def photo(make_photo: MakePhoto) -> Photo:
    """Make the bytes of an image that differs for each seed."""

    def make(seed: int = 0, kind: str = "JPEG") -> bytes:
        file = io.BytesIO()
        make_photo(seed=seed).save(file, kind)
        return file.getvalue()

    return make


def table(rows: Rows, label: Any = CLASSES, split: str | None = None, **more: Any) -> Any:
    """Make a dataset in memory."""
    columns = {
        "image": [None if data is None else {"bytes": data, "path": None} for data, _ in rows],
        "kind": [value for _, value in rows],
        **more,
    }
    features = {"image": datasets.Image(), "kind": label}
    features |= {name: datasets.Value("int64") for name in more}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features), split=split)


def saved(data: Any, folder: Path) -> Path:
    """Save a dataset, or several by the names of their splits."""
    data = datasets.DatasetDict(data) if isinstance(data, dict) else data
    data.save_to_disk(str(folder))
    return folder


def test_images_and_labels_arrive_with_their_splits(photo: Photo, tmp_path: Path) -> None:
    folder = saved(
        {
            "train": table([(photo(1), 0), (photo(2), 1)]),
            "validation": table([(photo(3), 1)]),
            "test": table([(photo(4), 0)]),
        },
        tmp_path / "insects",
    )

    manifest = scan(folder)

    assert manifest.counts() == {
        "train": {"ants": 1, "bees": 1},
        "val": {"ants": 1},
        "test": {"bees": 1},
    }
    assert manifest.classes == ("ants", "bees")
    assert manifest.root == folder.as_posix()
    assert manifest.notes == ()


@pytest.mark.parametrize(("kind", "suffix"), [("JPEG", ".jpg"), ("PNG", ".png"), ("WEBP", ".webp")])
def test_images_are_written_byte_for_byte_under_their_hash(
    photo: Photo, tmp_path: Path, cache: Path, kind: str, suffix: str
) -> None:
    data = photo(1, kind)

    [sample] = scan(saved(table([(data, 0)]), tmp_path / "insects")).samples

    assert Path(sample.path).read_bytes() == data
    assert Path(sample.path).name == hashlib.sha256(data).hexdigest() + suffix
    assert Path(sample.path).is_relative_to(cache)


def test_a_dataset_without_splits_is_split_like_a_flat_folder(photo: Photo, tmp_path: Path) -> None:
    folder = saved(table([(photo(n), n % 2) for n in range(20)]), tmp_path / "insects")

    counts = assign_splits(scan(folder)).counts()

    assert {split: sum(names.values()) for split, names in counts.items()} == {
        "train": 16,
        "val": 4,
    }


@pytest.mark.parametrize(
    ("name", "split"),
    [(None, ""), ("train", "train"), ("validation", "val"), ("test", "test"), ("all", "")],
)
def test_a_single_split_keeps_its_name(
    photo: Photo, tmp_path: Path, name: str | None, split: str
) -> None:
    [sample] = scan(saved(table([(photo(), 0)], split=name), tmp_path / "insects")).samples

    assert sample.split == split


def test_a_split_of_another_name_is_left_out_and_said(photo: Photo, tmp_path: Path) -> None:
    parts = {"train": table([(photo(1), 0)]), "extra": table([(photo(2), 1)])}

    manifest = scan(saved(parts, tmp_path / "insects"))

    assert len(manifest.samples) == 1
    assert manifest.notes == ("Left out: the split 'extra', which is none of train, val and test.",)


def test_strings_can_be_labels(photo: Photo, tmp_path: Path) -> None:
    rows = [(photo(1), "wasps"), (photo(2), "ants")]

    manifest = scan(saved(table(rows, datasets.Value("string"), "train"), tmp_path / "insects"))

    assert manifest.classes == ("ants", "wasps")


def test_classes_are_matched_by_name_across_splits(photo: Photo, tmp_path: Path) -> None:
    other = datasets.ClassLabel(names=["ants", "bees"])
    parts = {"train": table([(photo(1), 0)]), "test": table([(photo(2), 0)], other)}

    manifest = scan(saved(parts, tmp_path / "insects"))

    assert manifest.counts() == {"train": {"bees": 1}, "test": {"ants": 1}}


def test_rows_without_label_or_image_are_left_out_and_counted(photo: Photo, tmp_path: Path) -> None:
    rows = [(photo(1), 0), (photo(2), -1), (photo(3), None), (None, 1)]

    manifest = scan(saved({"test": table(rows)}, tmp_path / "insects"))

    assert [sample.label for sample in manifest.samples] == ["bees"]
    assert set(manifest.notes) == {
        "Left out: 2 rows of 'test' without a label.",
        "Left out: 1 row of 'test' without an image.",
    }


def test_a_dataset_without_any_label_is_refused(photo: Photo, tmp_path: Path) -> None:
    folder = saved({"test": table([(photo(1), -1)])}, tmp_path / "insects")

    with pytest.raises(DataError, match=r"holds no labelled images.* 1 row of 'test' without a la"):
        scan(folder)


def test_corrupt_bytes_are_set_aside_with_their_reason(photo: Photo, tmp_path: Path) -> None:
    rows = [(photo(1), 0), (b"no image", 1), (photo(2)[:-300], 1), (b"", 1)]

    manifest = scan(saved(table(rows, split="train"), tmp_path / "insects"))

    assert len(manifest.readable) == 1
    assert {sample.state for sample in manifest.set_aside} == {
        "not an image in a supported format",
        "truncated",
        "zero bytes",
    }


def test_a_row_that_refers_to_a_lost_file_is_set_aside_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = datasets.Features({"image": datasets.Image(), "kind": CLASSES})
    lost = {"bytes": None, "path": str(tmp_path / "lost.jpg")}
    data = datasets.Dataset.from_dict({"image": [lost], "kind": [1]}, features=features)
    folder = saved(table([(b"an image", 1)]), tmp_path / "insects")
    monkeypatch.setattr(datasets, "load_from_disk", lambda _: data)

    [sample] = scan(folder).samples

    assert (sample.path, sample.state) == (str(tmp_path / "lost.jpg"), "no such file")


@pytest.mark.parametrize(
    ("more", "without", "problem"),
    [
        ({}, "image", "no image column; its columns are kind"),
        ({}, "kind", "no label column; its columns are image"),
    ],
)
def test_a_dataset_that_lacks_a_column_is_refused(
    photo: Photo, tmp_path: Path, more: dict[str, Any], without: str, problem: str
) -> None:
    folder = saved(table([(photo(), 0)]).remove_columns(without), tmp_path / "insects")

    with pytest.raises(DataError, match=problem):
        scan(folder)


def test_two_label_columns_are_named_and_the_split_too(photo: Photo, tmp_path: Path) -> None:
    fine = table([(photo(), 0)])
    both = fine.add_column("coarse", [1]).cast_column("coarse", CLASSES)
    folder = saved({"train": fine, "test": both}, tmp_path / "insects")

    with pytest.raises(DataError, match=r"The split 'test' of .* several columns .*: kind, coarse"):
        scan(folder)


def test_the_same_dataset_is_written_once_and_then_needs_no_library(
    photo: Photo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(table([(photo(1), 0), (photo(2), -1)]), tmp_path / "insects")
    first = scan(folder)
    monkeypatch.setitem(sys.modules, "datasets", None)
    monkeypatch.setattr(hub_dataset, "write_out", lambda *_: pytest.fail("written twice"))

    assert scan(folder) == first


def test_a_changed_dataset_gets_another_folder(photo: Photo, tmp_path: Path, cache: Path) -> None:
    folder = saved(table([(photo(1), 0)]), tmp_path / "insects")
    before = scan(folder)
    shutil.rmtree(folder)
    saved(table([(photo(1), 1)]), folder)

    after = scan(folder)

    assert [sample.label for sample in (*before.samples, *after.samples)] == ["bees", "ants"]
    assert len(list(cache.iterdir())) == 2
    assert Path(before.samples[0].path).exists()


def test_caches_of_map_change_nothing(photo: Photo, tmp_path: Path, cache: Path) -> None:
    folder = saved(table([(photo(1), 0)]), tmp_path / "insects")
    before = scan(folder)
    (folder / "cache-0123456789.arrow").write_bytes(b"left by .map")

    assert scan(folder) == before
    assert len(list(cache.iterdir())) == 1


def test_one_image_in_two_rows_is_one_file_and_two_samples(photo: Photo, tmp_path: Path) -> None:
    parts = {"train": table([(photo(1), 0)]), "test": table([(photo(1), 0)])}

    train, test = scan(saved(parts, tmp_path / "insects")).samples

    assert train.path == test.path
    assert (train.split, test.split) == ("train", "test")


def test_a_write_that_fails_leaves_nothing(
    photo: Photo, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(table([(photo(1), 0), (photo(2), 0)]), tmp_path / "insects")
    write = Path.write_bytes
    full = OSError(28, "No space left on device")

    def failing(self: Path, data: bytes) -> int:
        if data == photo(2):
            raise full
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", failing)
    with pytest.raises(ResourceError, match="disk is full"):
        scan(folder)

    assert list(cache.iterdir()) == []


def test_a_slower_writer_keeps_the_folder_of_the_quicker_one(tmp_path: Path) -> None:
    def write(images: ImageFiles) -> None:
        images.add(b"first", ".jpg", "ants", "")

    def write_slowly(images: ImageFiles) -> None:
        shutil.copytree(tmp_path / "first", tmp_path / "out")
        images.add(b"second", ".jpg", "ants", "")

    write_out(write, tmp_path / "first", "insects")
    write_out(write_slowly, tmp_path / "out", "insects")

    assert read_back(tmp_path / "out") is not None
    assert len(list((tmp_path / "out").rglob("*.jpg"))) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"first", "out"}


def test_a_damaged_dataset_is_named(photo: Photo, tmp_path: Path) -> None:
    folder = saved(table([(photo(), 0)]), tmp_path / "insects")
    [arrow] = folder.glob("*.arrow")
    arrow.write_bytes(arrow.read_bytes()[:100])

    with pytest.raises(DataError, match="insects' cannot be read as a Hugging Face dataset"):
        scan(folder)


def test_a_saved_format_does_not_matter(photo: Photo, tmp_path: Path) -> None:
    data = table([(photo(1), 1)], weight=[3]).with_format("numpy", columns=["weight"])

    [sample] = scan(saved(data, tmp_path / "insects")).samples

    assert sample.label == "ants"


def test_without_the_extra_the_way_to_install_it_is_said(
    photo: Photo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(table([(photo(), 0)]), tmp_path / "insects")
    monkeypatch.setitem(sys.modules, "datasets", None)

    for source in (folder, "hf:org/net"):
        with pytest.raises(DataError) as caught:
            scan(source)
        assert "pip install 'graftlearn[datasets]'" in caught.value.remedy


def test_folders_of_images_are_not_taken_for_datasets(tmp_path: Path) -> None:
    (tmp_path / "train" / "ants").mkdir(parents=True)
    (tmp_path / "state.json").touch()

    assert not is_saved_dataset(tmp_path)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("hf:beans", HubName("beans")),
        ("hf:org/net", HubName("org/net")),
        ("hf:org/net@v1.0", HubName("org/net", "v1.0")),
        ("hf:org/net:small", HubName("org/net", None, "small")),
        ("hf:org/net@refs/pr/1:a:b", HubName("org/net", "refs/pr/1", "a:b")),
        ("hf:food101[:5000]", HubName("food101", first="5000")),
        ("hf:org/net@v1.0:small[:10%]", HubName("org/net", "v1.0", "small", "10%")),
        ("hf:org/net:Validation[:100%]", HubName("org/net", first="100%", split="Validation")),
        ("hf:org/net:small:test[:7]", HubName("org/net", None, "small", "7", "test")),
        ("photos", None),
        ("/data/hf:x", None),
    ],
)
def test_names_on_the_hub_are_read(source: str, name: HubName | None) -> None:
    assert hub_name(source) == name


@pytest.mark.parametrize(
    "source",
    ["hf:", "hf:a/b/c", "hf:../etc@x y", "hf:a@", "hf:a:"]
    + [f"hf:a[{part}]" for part in ("", ":", ":0", ":x", ":-1", ":1.5", ":101%", ":0%", "1:2")],
)
def test_what_is_no_name_is_refused(source: str) -> None:
    with pytest.raises(DataError, match=r"Write hf:ORG/NAME\[@REVISION\]\[:CONFIG\]"):
        locate(source)


@pytest.fixture
def repository(photo: Photo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a repository as the hub's cache holds it: Parquet files and a card."""
    folder = tmp_path / "hub" / COMMIT
    (folder / "data").mkdir(parents=True)
    table([(photo(1), 0), (photo(2), 1)]).to_parquet(folder / "data" / "train-0.parquet")
    table([(photo(3), 1)]).to_parquet(folder / "data" / "validation-0.parquet")
    monkeypatch.setattr(hub_dataset, "hub_folder", lambda *_, **__: folder)
    return folder


def card(folder: Path, configs: object) -> None:
    """Write a repository's card."""
    (folder / "README.md").write_text(f"---\n{json.dumps({'configs': configs})}\n---\n# Insects\n")


def test_a_dataset_of_the_hub_is_read_from_its_files(
    repository: Path, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    manifest = scan("hf:org/net")

    assert manifest.counts() == {"train": {"ants": 1, "bees": 1}, "val": {"ants": 1}}
    assert manifest.root == "hf:org/net"
    assert [place.name.partition("-0")[0].rpartition("-")[0] for place in cache.iterdir()] == [
        "org--net"
    ]
    assert capfd.readouterr() == ("", "")


def test_a_folder_of_images_on_the_hub_is_read_too(
    photo: Photo, repository: Path, tmp_path: Path
) -> None:
    shutil.rmtree(repository / "data")
    for name, seed in (("train/ants/1.jpg", 1), ("train/bees/1.jpg", 2), ("test/ants/1.jpg", 3)):
        (repository / name).parent.mkdir(parents=True)
        (repository / name).write_bytes(photo(seed))

    manifest = scan("hf:org/net")

    assert manifest.counts() == {"train": {"ants": 1, "bees": 1}, "test": {"ants": 1}}


def test_a_configuration_is_chosen_by_name(repository: Path) -> None:
    card(
        repository,
        [
            {"config_name": "small", "data_files": "data/validation-0.parquet"},
            {"config_name": "large", "data_files": "data/train-0.parquet"},
        ],
    )

    assert len(scan("hf:org/net:small").samples) == 1
    assert len(scan("hf:org/net:large").samples) == 2
    with pytest.raises(DataError, match="small"):
        scan("hf:org/net")


def test_a_pinned_commit_that_was_written_out_asks_nobody(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scan("hf:org/net")
    monkeypatch.setattr(hub_dataset, "hub_folder", lambda *_, **__: pytest.fail("asked"))

    assert scan(f"hf:org/net@{COMMIT}").samples == first.samples


def rows_of(*labels: int, start: int = 0, photo: Photo) -> Rows:
    """Make rows of different images with these labels."""
    return [(photo(start + place), label) for place, label in enumerate(labels)]


def test_a_part_of_a_dataset_has_the_same_share_of_each_class(
    photo: Photo, repository: Path
) -> None:
    ordered = table(rows_of(*[0] * 8, *[1] * 4, start=10, photo=photo))
    ordered.to_parquet(repository / "data" / "train-0.parquet")

    manifest = scan("hf:org/net[:6]")

    assert manifest.counts() == {"train": {"ants": 2, "bees": 4}}
    assert set(manifest.notes) == {
        "6 of 12 images of the split 'train' of 'org/net' are read, the same share of each class.",
        "Left out: the split 'validation', as only 'train' is read.",
    }
    smaller = {sample.sha256 for sample in scan("hf:org/net[:3]").samples}
    assert smaller < {sample.sha256 for sample in manifest.samples}
    assert scan("hf:org/net:train[:50%]").counts() == manifest.counts()
    assert len(scan("hf:org/net[:100]").samples) == 12
    assert len(scan("hf:org/net").samples) == 13
    assert scan("hf:org/net:validation[:1]").counts() == {"val": {"ants": 1}}


def test_a_part_is_taken_from_rows_with_labels(photo: Photo, repository: Path) -> None:
    rows = [(photo(20), -1), *rows_of(0, 0, 1, 1, start=30, photo=photo)]
    table(rows).to_parquet(repository / "data" / "train-0.parquet")

    assert scan("hf:org/net[:2]").counts() == {"train": {"ants": 1, "bees": 1}}


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("hf:org/net[:1]", "2 classes, more than the 1 of its 2 images"),
        ("hf:org/net:test[:1]", "has the splits train, validation; "),
    ],
)
def test_a_part_that_cannot_be_meant_is_refused(
    repository: Path, source: str, problem: str
) -> None:
    with pytest.raises(DataError, match=problem):
        scan(source)


def test_a_card_cannot_send_the_library_elsewhere(repository: Path) -> None:
    card(repository, [{"config_name": "x", "data_files": "https://127.0.0.1:1/a.parquet"}])

    with pytest.raises(DataError, match="refers to data outside of its repository: https://127"):
        scan("hf:org/net")


def test_a_script_in_a_repository_is_not_run(repository: Path, tmp_path: Path) -> None:
    (repository / "net.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")

    scan("hf:org/net")
    shutil.rmtree(repository / "data")
    (repository / f"{COMMIT}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(DataError, match="scripts are no longer supported"):
        scan("hf:org/net:other")

    assert not (tmp_path / "ran").exists()


def test_a_dataset_that_was_saved_into_a_repository_is_read(photo: Photo, repository: Path) -> None:
    shutil.rmtree(repository)
    saved({"train": table([(photo(1), 0)])}, repository)

    assert scan("hf:org/net").counts() == {"train": {"bees": 1}}


def test_a_folder_of_the_same_name_is_not_mistaken_for_the_hub(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "org" / "net" / "train" / "wasps").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    assert scan("hf:org/net").classes == ("ants", "bees")


def test_locate_makes_paths_absolute_and_leaves_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert locate("photos") == (tmp_path / "photos").as_posix()
    assert locate("hf:org/net@main") == "hf:org/net@main"
