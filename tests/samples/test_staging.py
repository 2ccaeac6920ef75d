"""A folder of samples is there whole or not at all."""

from __future__ import annotations

from contextlib import suppress

import pytest

from graft.errors import RecipeError, ResourceError
from graft.samples.write import staged_folder


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, ValueError])
def test_whatever_interrupts_leaves_nothing(tmp_path, error):
    def interrupted():
        with staged_folder(tmp_path / "photos") as staged:
            (staged / "half.png").touch()
            raise error

    with pytest.raises(error):
        interrupted()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.jpg").write_bytes(b"mine")
    with (
        pytest.raises(RecipeError, match="not an empty folder"),
        staged_folder(tmp_path / "photos"),
    ):
        raise AssertionError("never entered")
    assert [p.name for p in tmp_path.rglob("*")] == ["photos", "mine.jpg"]


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "photos").mkdir()
    with staged_folder(tmp_path / "photos") as staged:
        (staged / "a.png").touch()
    assert [p.name for p in tmp_path.rglob("*")] == ["photos", "a.png"]


def test_the_folder_that_one_is_in_is_not_pulled_away(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match="you are in"), staged_folder("."):
        raise AssertionError("never entered")


def test_what_appears_in_the_meantime_is_not_overwritten(tmp_path):
    def overtaken():
        with staged_folder(tmp_path / "photos") as staged:
            (staged / "a.png").touch()
            (tmp_path / "photos").mkdir()
            (tmp_path / "photos" / "mine.jpg").touch()

    with pytest.raises(ResourceError):
        overtaken()
    assert [p.name for p in tmp_path.rglob("*")] == ["photos", "mine.jpg"]


def test_what_a_killed_process_staged_is_swept_and_what_a_living_one_stages_is_not(tmp_path):
    (tmp_path / ".photos.0123456789ab.tmp" / "train").mkdir(parents=True)
    (tmp_path / ".photos.mine").mkdir()
    with suppress(KeyError), staged_folder(tmp_path / "photos") as first:
        with suppress(ZeroDivisionError), staged_folder(tmp_path / "photos") as second:
            names = {path.name for path in tmp_path.iterdir()}
            raise ZeroDivisionError
        raise KeyError
    assert names == {first.name, second.name, ".photos.mine"}
    assert [path.name for path in tmp_path.iterdir()] == [".photos.mine"]
