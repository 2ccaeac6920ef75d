"""Where the cache lies on each platform."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from graft.user_cache import cache_root, feature_cache, user_cache


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the user an empty home and no wishes."""
    for name in ("GRAFT_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("platform", "place"),
    [
        ("linux", ".cache/graft"),
        ("darwin", "Library/Caches/graft"),
        ("win32", "AppData/Local/graft"),
    ],
)
def test_it_lies_where_the_platform_keeps_caches(
    home: Path, monkeypatch: pytest.MonkeyPatch, platform: str, place: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)

    assert user_cache() == home / place


def test_it_follows_the_desktop_standard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))

    assert user_cache() == tmp_path / "elsewhere" / "graft"


def test_graft_cache_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GRAFT_CACHE", str(tmp_path / "mine"))

    assert user_cache() == tmp_path / "mine"


def test_downloads_have_a_place_where_nothing_else_is_kept(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("GRAFT_CACHE", "Off")

    assert user_cache() == home / ".cache" / "graft"
    assert cache_root() is None
    assert feature_cache() is None


@pytest.mark.parametrize("wish", [None, "", "off", "theirs"])
def test_a_choice_beats_the_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch, wish: str | None
) -> None:
    monkeypatch.chdir(home)
    if wish is not None:
        monkeypatch.setenv("GRAFT_CACHE", wish)

    assert feature_cache("mine") == home / "mine" / "features"
    assert feature_cache("off") is None


def test_without_a_choice_the_environment_decides(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert feature_cache() == home / ".cache" / "graft" / "features"
    assert feature_cache("") == home / ".cache" / "graft" / "features"

    monkeypatch.setenv("GRAFT_CACHE", "~/theirs")
    assert feature_cache() == home / "theirs" / "features"
