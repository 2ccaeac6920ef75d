"""A data set that was scanned before."""

from __future__ import annotations

from pathlib import Path

import pytest

from graft.data import decode
from graft.workflows.examine import examine
from tests.conftest import MakeFolder, MakePhoto


@pytest.fixture
def root(make_folder: MakeFolder) -> Path:
    """Three pictures and a damaged one."""
    root = make_folder({"ants": 2, "bees": 1})
    (root / "bees" / "damaged.jpg").write_bytes(b"these are not pixels")
    return root


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Takes note of every picture that is decoded."""
    seen: list[object] = []
    load = decode._load
    monkeypatch.setattr(decode, "_load", lambda image: seen.append(image) or load(image))
    return seen


def test_pictures_are_decoded_by_the_first_scan_and_not_by_the_second(
    root: Path, tmp_path: Path, decoded: list[object]
) -> None:
    first = examine(str(root), tmp_path / "cache")
    assert len(decoded) == 3
    decoded.clear()

    assert examine(str(root), tmp_path / "cache") == first
    assert not decoded


def test_a_picture_that_has_changed_is_decoded_again(
    root: Path, tmp_path: Path, decoded: list[object], make_photo: MakePhoto
) -> None:
    examine(str(root), tmp_path / "cache")
    make_photo(20, 10, seed=9).save(root / "ants" / "000.jpg")
    decoded.clear()

    again = examine(str(root), tmp_path / "cache")

    assert len(decoded) == 1
    assert (again.samples[0].width, again.samples[0].height) == (20, 10)


def test_another_decoder_looks_at_every_picture(
    root: Path, tmp_path: Path, decoded: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    examine(str(root), tmp_path / "cache")
    decoded.clear()
    monkeypatch.setattr("graft.workflows.examine.decoder", lambda: "pillow 99")

    examine(str(root), tmp_path / "cache")

    assert len(decoded) == 3


@pytest.mark.parametrize("damage", [b"", b"path,label", b"\xff\x00", "whole, but for the end"])
def test_a_damaged_note_counts_for_nothing(root: Path, tmp_path: Path, damage: bytes | str) -> None:
    first = examine(str(root), tmp_path / "cache")
    [note] = (tmp_path / "cache" / "notes").iterdir()
    note.write_bytes(damage if isinstance(damage, bytes) else note.read_bytes()[:-9])

    assert examine(str(root), tmp_path / "cache") == first


def test_with_the_cache_off_nothing_is_noted(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFT_CACHE", str(tmp_path / "cache"))

    examine(str(root), "off")

    assert not (tmp_path / "cache").exists()
