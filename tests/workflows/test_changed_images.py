"""A number belongs to the bytes it was made from: images that change under a run."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import graft
from graft.data.manifest import Manifest
from graft.data.scan import scan
from graft.errors import DataError
from graft.run import Run
from graft.training import Callback, Trainer
from graft.workflows import prepare
from graft.workflows.evaluate import evaluate
from tests.workflows.conftest import SMALL, write_photos

LABELS = ("red", "green", "blue")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three classes in train, val and test."""
    splits = {"train": 6, "val": 4, "test": 3}
    counts = {f"{split}/{label}": count for split, count in splits.items() for label in LABELS}
    return write_photos(tmp_path / "images", counts)


def swap(images: Path, split: str = "*") -> None:
    """Give the images of the first class to the second and the other way round; twice undoes it."""
    for one in images.glob(f"{split}/red/*.png"):
        other = Path(str(one).replace("red", "blue"))
        one_bytes, other_bytes = one.read_bytes(), other.read_bytes()
        one.write_bytes(other_bytes)
        other.write_bytes(one_bytes)


@pytest.fixture
def after_scan(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Let something happen once, between the scan and everything that comes later."""

    def arrange(happens: Callable[[], None]) -> None:
        def scan_once(*arguments: object, **options: bool) -> Manifest:
            found = scan(*arguments, **options)  # type: ignore[arg-type]
            happens()
            return found

        monkeypatch.setattr(prepare, "scan", scan_once)
        monkeypatch.setattr("graft.workflows.evaluate.scan", scan_once)

    return arrange


def predictions(run: Path) -> list[list[str]]:
    with (run / "predictions.csv").open() as file:
        return list(csv.reader(file))


class Once(Callback):
    """Does something after the first epoch."""

    def __init__(self, does: Callable[[], None]) -> None:
        self.does: Callable[[], None] | None = does

    def on_epoch_end(self, trainer: Trainer, line: Mapping[str, Any]) -> None:
        if self.does is not None:
            does, self.does = self.does, None
            does()


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("strategy", ["probe", "full"])
def test_images_swapped_after_the_scan_stop_the_run_and_leave_no_number_behind(
    images: Path,
    weights: Path,
    tmp_path: Path,
    after_scan: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    strategy: str,
) -> None:
    options = {**SMALL, "weights": str(weights), "strategy": strategy, "epochs": 1}
    right = graft.fit(images, out=tmp_path / "right", cache="off", **options)
    kept = str(tmp_path / "cache")
    after_scan(lambda: swap(images))
    with pytest.raises(DataError, match=r"\.png' has changed since it was first read"):
        graft.fit(images, out=tmp_path / "swapped", cache=kept, **options)
    assert not (tmp_path / "swapped" / "predictions.csv").exists()
    monkeypatch.undo()
    swap(images)
    again = graft.fit(images, out=tmp_path / "again", cache=kept, **options)
    assert predictions(again.run) == predictions(right.run)
    assert again.result["test_accuracy"] == right.result["test_accuracy"]


@pytest.mark.parametrize("split", ["val", "test"])
def test_no_table_is_written_from_images_that_change_during_training(
    images: Path, weights: Path, tmp_path: Path, split: str
) -> None:
    options = {**SMALL, "weights": str(weights), "strategy": "full", "epochs": 2, "cache": "off"}
    listener = Once(lambda: swap(images, split))
    with pytest.raises(DataError, match=rf"{split}/.*has changed"):
        graft.fit(images, out=tmp_path / "run", callbacks=[listener], **options)
    assert not (tmp_path / "run" / "predictions.csv").exists()
    assert Run.open(tmp_path / "run").state()["result"] is None


def test_a_run_resumes_only_on_the_images_that_it_began_with(
    images: Path, weights: Path, tmp_path: Path
) -> None:
    kept = str(tmp_path / "cache")
    options = {**SMALL, "weights": str(weights), "strategy": "full", "epochs": 2, "cache": kept}
    with pytest.raises(KeyboardInterrupt):
        graft.fit(images, out=tmp_path / "run", callbacks=[Once(interrupt)], **options)
    lines = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    swap(images)
    (images / "train/green/00.png").unlink()
    expected = r"27 of 39 .* changed since it began: .*/blue/00.png' \(other content\).* 24 more\."
    with pytest.raises(DataError, match=expected):
        graft.fit(out=tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == lines
    swap(images)
    with pytest.raises(DataError, match=r"1 of 39 .*train/green/00.png' \(no such file\)"):
        graft.fit(out=tmp_path / "run", resume=True)
    shutil.rmtree(images)
    write_photos(
        images,
        {f"{s}/{label}": n for s, n in (("train", 6), ("val", 4), ("test", 3)) for label in LABELS},
    )
    resumed = graft.fit(out=tmp_path / "run", resume=True)
    whole = graft.fit(images, out=tmp_path / "whole", **{**options, "cache": "off"})
    assert predictions(resumed.run) == predictions(whole.run)


def test_a_run_that_is_done_needs_its_images_no_more(
    images: Path, weights: Path, tmp_path: Path
) -> None:
    options = {**SMALL, "weights": str(weights), "strategy": "probe"}
    done = graft.fit(images, out=tmp_path / "run", **options)
    shutil.rmtree(images)
    assert graft.fit(out=tmp_path / "run", resume=True).result == done.result


def test_an_evaluation_counts_only_the_images_that_it_scanned(
    images: Path, weights: Path, tmp_path: Path, after_scan: Callable[..., None]
) -> None:
    options = {**SMALL, "weights": str(weights), "strategy": "probe"}
    fitted = graft.fit(images, out=tmp_path / "run", **options)
    after_scan(lambda: swap(images))
    with pytest.raises(DataError, match="has changed"):
        evaluate(fitted.classifier, images)
